#include "tests/faults/watching.h"

#include <grpcpp/client_context.h>

#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/events/resume_token.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"

namespace coder::faults {
namespace {

using api::v1::WatchAllWorkspaceBuildsRequest;
using api::v1::WatchAllWorkspaceBuildsResponse;
using api::v1::WatchService;

constexpr absl::Duration kPause = absl::Milliseconds(50);

std::string EventFields(const events::v1::BuildEvent& event) {
  return absl::StrCat(Member("workspace", event.workspace_id()), ",",
                      Member("version", event.workspace_version()), ",",
                      Member("owner", event.owner_id()), ",", Member("build", event.build_id()),
                      ",", Member("number", event.build_number()), ",",
                      Member("event", events::v1::BuildEventKind_Name(event.kind())), ",",
                      Member("status", events::v1::JobStatus_Name(event.job_status())));
}

// Ends the call when the client is to stop.
class StopsCall {
 public:
  StopsCall(grpc::ClientContext& context, const std::stop_token& stop)
      : callback_(stop, [&context] { context.TryCancel(); }) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace

void Watching::Run(std::stop_token stop) {
  clock::SystemClock clock;
  for (size_t turn = 0; !stop.stop_requested(); ++turn) {
    WatchOnce(*replicas_[turn % replicas_.size()], stop);
    clock.Wait(kPause, stop);
  }
}

void Watching::WatchOnce(grpc::Channel& replica, std::stop_token stop) {
  const std::string who = Member("watch", options_.name);
  WatchAllWorkspaceBuildsRequest request;
  request.mutable_bookmark_interval()->set_seconds(1);
  const bool resumes = !resume_token_.empty() && !options_.always_snapshot;
  request.set_snapshot(!resumes);
  if (resumes) request.set_resume_token(resume_token_);
  history_.Add("open", absl::StrCat(who, ",", Member("snapshot", resumes ? 0 : 1)));

  grpc::ClientContext context;
  context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
  const StopsCall stops(context, stop);
  // Only borrowed: the channel outlives the call.
  const auto stub =
      WatchService::NewStub(std::shared_ptr<grpc::Channel>(&replica, [](grpc::Channel*) {}));
  const auto reader = stub->WatchAllWorkspaceBuilds(&context, request);
  WatchAllWorkspaceBuildsResponse response;
  clock::SystemClock clock;
  while (reader->Read(&response)) {
    Record(response);
    if (options_.slowness > absl::ZeroDuration() && !hurries_) clock.Wait(options_.slowness, stop);
  }
  const absl::Status ended = server::StatusFromGrpc(reader->Finish());
  const auto reason = status::ReasonOf(ended);
  const std::string word = reason ? reason->reason : "";
  history_.Add("end", absl::StrCat(who, ",", Member("code", absl::StatusCodeToString(ended.code())),
                                   ",", Member("reason", word), ",",
                                   Member("stopping", stop.stop_requested() ? 1 : 0)));
  const bool begin_anew = ended.code() == absl::StatusCode::kFailedPrecondition ||
                          ended.code() == absl::StatusCode::kOutOfRange ||
                          ended.code() == absl::StatusCode::kInvalidArgument;
  if (begin_anew) resume_token_.clear();
}

void Watching::Record(const WatchAllWorkspaceBuildsResponse& response) {
  const std::string who = Member("watch", options_.name);
  for (const auto& item : response.snapshot_items()) {
    history_.Add("item", absl::StrCat(who, ",", EventFields(item)));
  }
  for (const auto& watched : response.events()) {
    const std::string place = absl::StrCat(who, ",", Member("position", watched.position()));
    if (watched.has_event()) {
      history_.Add("event", absl::StrCat(place, ",", EventFields(watched.event())));
    } else {
      history_.Add(
          "unreadable",
          absl::StrCat(place, ",", Member("workspace", watched.unreadable().workspace_id()), ",",
                       Member("version", watched.unreadable().workspace_version())));
    }
  }
  if (response.resume_token().empty()) return;
  resume_token_ = response.resume_token();
  const auto token = events::DecodeResumeToken(resume_token_);
  history_.Add("token",
               absl::StrCat(who, ",", Member("position", token.ok() ? token->position : -1), ",",
                            Member("epoch", token.ok() ? token->epoch : -1)));
  if (response.snapshot_complete()) has_begun_ = true;
}

}  // namespace coder::faults
