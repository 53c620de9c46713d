#include "services/coderd-api/lifecycle_service.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_lifecycle.h"

namespace coder::api {
namespace {

namespace pb = ::coder::lifecycle::v1;
using lifecycle::LifecycleProposal;

// Candidates of one statement and one message.
constexpr int kPage = 500;
constexpr int kMaxActions = 500;

absl::StatusOr<std::vector<LifecycleProposal>> ProposalsOf(
    const pb::ApplyLifecycleActionsRequest& request) {
  if (request.actions_size() > kMaxActions) {
    return status::WithFieldViolation(
        absl::InvalidArgumentError(absl::StrCat("apply ", request.actions_size(),
                                                " lifecycle actions: send at most ", kMaxActions,
                                                " a call")),
        "actions", "too many");
  }
  std::vector<LifecycleProposal> proposals;
  for (const pb::LifecycleAction& action : request.actions()) {
    ASSIGN_OR_RETURN(proposals.emplace_back(), FromProto(action));
  }
  return proposals;
}

}  // namespace

grpc::Status LifecycleService::StreamLifecycleCandidates(
    grpc::ServerContext* context, const pb::StreamLifecycleCandidatesRequest* request,
    grpc::ServerWriter<pb::StreamLifecycleCandidatesResponse>* writer) {
  return HandleCall(
      gate_, context, "/coder.lifecycle.v1.LifecycleService/StreamLifecycleCandidates", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const absl::Time tick, TickOf(request->has_tick(), request->tick()));
        lifecycle::WorkspaceId after;
        for (;;) {
          ASSIGN_OR_RETURN(const auto page, store_.Candidates(tick, after, kPage, call.deadline));
          if (page.empty()) return absl::OkStatus();
          pb::StreamLifecycleCandidatesResponse response;
          for (const auto& candidate : page) *response.add_candidates() = ToProto(candidate);
          if (!writer->Write(response)) {
            return absl::CancelledError("stream lifecycle candidates: the caller went away");
          }
          after = page.back().workspace_id;
        }
      });
}

grpc::Status LifecycleService::ApplyLifecycleActions(
    grpc::ServerContext* context, const pb::ApplyLifecycleActionsRequest* request,
    pb::ApplyLifecycleActionsResponse* response) {
  return HandleCall(
      gate_, context, "/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const absl::Time tick, TickOf(request->has_tick(), request->tick()));
        ASSIGN_OR_RETURN(const std::vector<LifecycleProposal> proposals, ProposalsOf(*request));
        for (size_t begin = 0; begin < proposals.size(); begin += storage::kMaxLifecycleChunk) {
          const size_t end = std::min(proposals.size(), begin + storage::kMaxLifecycleChunk);
          ASSIGN_OR_RETURN(const storage::AppliedProposals applied,
                           store_.Apply(tick,
                                        {proposals.begin() + static_cast<ptrdiff_t>(begin),
                                         proposals.begin() + static_cast<ptrdiff_t>(end)},
                                        call.deadline));
          for (const auto& result : applied.results) *response->add_results() = ToProto(result);
          for (const auto& organization : applied.queued_in) queue_signal_.Poke(organization);
          if (applied.wrote_events) poker_.Poke();
        }
        return absl::OkStatus();
      });
}

}  // namespace coder::api
