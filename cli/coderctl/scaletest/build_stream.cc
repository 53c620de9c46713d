#include "cli/coderctl/scaletest/build_stream.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/stream_ending.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

using api::v1::WatchService;

constexpr absl::Duration kOpenLimit = absl::Seconds(30);

}  // namespace

absl::StatusOr<std::unique_ptr<BuildStream>> BuildStream::Open(const Session& session,
                                                               clock::Clock& clock,
                                                               const std::string& template_id,
                                                               const std::stop_token& stop) {
  std::unique_ptr<BuildStream> stream(new BuildStream(session, clock, template_id));
  // The first token is the first bookmark's: the watch is in place.
  RETURN_IF_ERROR(stream->WaitUntil(
      [&stream](const BuildBoard&) { return !stream->token_.empty(); }, kOpenLimit, stop));
  return stream;
}

BuildStream::BuildStream(const Session& session, clock::Clock& clock, std::string template_id)
    : session_(session),
      clock_(clock),
      template_id_(std::move(template_id)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

BuildStream::~BuildStream() = default;

absl::Status BuildStream::WaitUntil(const std::function<bool(const BuildBoard&)>& holds,
                                    absl::Duration limit, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, absl::ToChronoNanoseconds(limit),
                    [&] { return holds(board_) || !ended_.ok(); });
  if (holds(board_)) return absl::OkStatus();
  if (!ended_.ok()) return ended_;
  if (stop.stop_requested()) return absl::CancelledError("interrupted");
  return absl::DeadlineExceededError(absl::StrCat("not within ", absl::FormatDuration(limit)));
}

absl::StatusOr<ObservedBuild> BuildStream::WaitForEnd(const std::string& workspace_id,
                                                      int32_t number, absl::Duration limit,
                                                      const std::stop_token& stop) {
  ObservedBuild found;
  RETURN_IF_ERROR(WaitUntil(
      [&](const BuildBoard& board) {
        const ObservedBuild* build = board.Find(workspace_id, number);
        if (build == nullptr || !IsFinal(build->status)) return false;
        found = *build;
        return true;
      },
      limit, stop));
  return found;
}

void BuildStream::Look(const std::function<void(const BuildBoard&)>& look) {
  const std::lock_guard lock(mutex_);
  look(board_);
}

absl::Status BuildStream::ReadOnce(const std::stop_token& stop) {
  const auto stub = WatchService::NewStub(session_.channel());
  grpc::ClientContext context;
  session_.PrepareStream(context);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  api::v1::WatchAllWorkspaceBuildsRequest request;
  request.set_resume_token(token_);
  request.mutable_bookmark_interval()->set_seconds(1);
  if (!template_id_.empty()) request.mutable_filter()->add_template_ids(template_id_);
  const auto reader = stub->WatchAllWorkspaceBuilds(&context, request);
  api::v1::WatchAllWorkspaceBuildsResponse response;
  while (reader->Read(&response)) {
    const absl::Time now = clock_.Now();
    const std::lock_guard lock(mutex_);
    for (const auto& watched : response.events()) {
      if (watched.has_event()) board_.Apply(watched.event(), now);
    }
    token_ = response.resume_token();
    changed_.notify_all();
  }
  return server::StatusFromGrpc(reader->Finish());
}

void BuildStream::Run(const std::stop_token& stop) {
  absl::Duration pause = absl::Milliseconds(100);
  while (!stop.stop_requested()) {
    const std::string before = token_;
    const absl::Status status = ReadOnce(stop);
    // A first stream that does not come about is an error; a later one is waited for.
    if (token_.empty() || !IsResumable(status)) {
      const std::lock_guard lock(mutex_);
      ended_ = status.ok()
                   ? absl::InternalError("watch all builds: the stream ended without a word")
                   : status;
      changed_.notify_all();
      return;
    }
    ++drops_;
    pause = token_ == before ? std::min(pause * 2, absl::Seconds(1)) : absl::Milliseconds(100);
    clock_.Wait(pause, stop);
  }
}

}  // namespace coder::cli::scaletest
