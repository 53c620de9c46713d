#include "services/autostart-scheduler/grpc_lifecycle_client.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "libs/status/status_macros.h"
#include "services/autostart-scheduler/proto_convert.h"

namespace coder::scheduler {
namespace {

namespace pb = ::coder::lifecycle::v1;

// Half a tick: what takes longer is better begun again.
constexpr absl::Duration kCallTimeout = absl::Seconds(30);

}  // namespace

GrpcLifecycleClient::GrpcLifecycleClient(const std::shared_ptr<grpc::Channel>& channel,
                                         server::Secret token)
    : token_(std::move(token)), stub_(pb::LifecycleService::NewStub(channel)) {}

void GrpcLifecycleClient::Prepare(grpc::ClientContext& context) const {
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token_.Reveal()));
  context.set_deadline(server::CallDeadline(kCallTimeout));
}

absl::Status GrpcLifecycleClient::StreamCandidates(absl::Time tick, std::stop_token stop,
                                                   const Take& take) {
  grpc::ClientContext context;
  Prepare(context);
  pb::StreamLifecycleCandidatesRequest request;
  *request.mutable_tick() = events::ToProto(tick);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const auto reader = stub_->StreamLifecycleCandidates(&context, request);
  pb::StreamLifecycleCandidatesResponse response;
  absl::Status unreadable;
  while (unreadable.ok() && reader->Read(&response)) {
    for (const pb::LifecycleCandidate& message : response.candidates()) {
      const auto candidate = FromProto(message);
      if (!candidate.ok()) {
        unreadable = candidate.status();
        context.TryCancel();
        break;
      }
      take(*candidate);
    }
  }
  const grpc::Status status = reader->Finish();
  if (!unreadable.ok()) return unreadable;
  return server::StatusFromGrpc(status);
}

absl::StatusOr<std::vector<lifecycle::LifecycleResult>> GrpcLifecycleClient::Apply(
    absl::Time tick, const std::vector<lifecycle::LifecycleProposal>& proposals) {
  grpc::ClientContext context;
  Prepare(context);
  pb::ApplyLifecycleActionsRequest request;
  *request.mutable_tick() = events::ToProto(tick);
  for (const auto& proposal : proposals) *request.add_actions() = ToProto(proposal);
  pb::ApplyLifecycleActionsResponse response;
  const grpc::Status status = stub_->ApplyLifecycleActions(&context, request, &response);
  if (!status.ok()) return server::StatusFromGrpc(status);
  if (response.results_size() != request.actions_size()) {
    return absl::InternalError(absl::StrCat("apply ", request.actions_size(),
                                            " lifecycle actions: coderd-api answered ",
                                            response.results_size()));
  }
  std::vector<lifecycle::LifecycleResult> results;
  for (const pb::LifecycleActionResult& message : response.results()) {
    ASSIGN_OR_RETURN(results.emplace_back(), FromProto(message));
  }
  return results;
}

}  // namespace coder::scheduler
