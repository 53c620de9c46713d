#include "services/coderd-api/lifecycle_service.h"

#include <algorithm>
#include <atomic>
#include <thread>
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
constexpr size_t kPage = 500;
constexpr int kMaxActions = 500;
// Of those applied, what the audit log names one by one.
constexpr int kMostNoted = 14;
// Transactions of one call at a time: the database decides and writes for one while another waits
// for its commit. More would take sessions and processors from people's calls.
constexpr size_t kMaxChunksAtOnce = 3;

// At most `size` of them from `begin` on.
template <typename T>
std::vector<T> SliceOf(const std::vector<T>& all, size_t begin, size_t size) {
  const auto first = all.begin() + static_cast<ptrdiff_t>(begin);
  return {first, first + static_cast<ptrdiff_t>(std::min(size, all.size() - begin))};
}

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

void NoteApplied(const CallContext& call, const std::vector<LifecycleProposal>& proposals,
                 const pb::ApplyLifecycleActionsResponse& response) {
  int noted = 0;
  for (int i = 0; i < response.results_size() && noted < kMostNoted; ++i) {
    if (response.results(i).outcome() != pb::LIFECYCLE_OUTCOME_APPLIED) continue;
    const LifecycleProposal& applied = proposals[static_cast<size_t>(i)];
    call.Note(applied.workspace_id.ToString(), lifecycle::ToString(applied.kind));
    ++noted;
  }
}

}  // namespace

grpc::Status LifecycleService::StreamLifecycleCandidates(
    grpc::ServerContext* context, const pb::StreamLifecycleCandidatesRequest* request,
    grpc::ServerWriter<pb::StreamLifecycleCandidatesResponse>* writer) {
  return HandleCall(
      gate_, context, "/coder.lifecycle.v1.LifecycleService/StreamLifecycleCandidates", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const absl::Time tick, TickOf(request->has_tick(), request->tick()));
        ASSIGN_OR_RETURN(const auto due, store_.DueWorkspaces(tick, call.deadline));
        for (size_t begin = 0; begin < due.size(); begin += kPage) {
          ASSIGN_OR_RETURN(const auto page,
                           store_.Candidates(SliceOf(due, begin, kPage), call.deadline));
          pb::StreamLifecycleCandidatesResponse response;
          for (const auto& candidate : page) *response.add_candidates() = ToProto(candidate);
          if (!writer->Write(response)) {
            return absl::CancelledError("stream lifecycle candidates: the caller went away");
          }
        }
        return absl::OkStatus();
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
        call.Note("actions", absl::StrCat(proposals.size()));
        for (const auto& applied : ApplyChunks(tick, proposals, call.deadline)) {
          RETURN_IF_ERROR(applied.status());
          for (const auto& result : applied->results) *response->add_results() = ToProto(result);
        }
        NoteApplied(call, proposals, *response);
        return absl::OkStatus();
      });
}

std::vector<absl::StatusOr<storage::AppliedProposals>> LifecycleService::ApplyChunks(
    absl::Time tick, const std::vector<LifecycleProposal>& proposals, clock::Deadline deadline) {
  const size_t count =
      (proposals.size() + storage::kMaxLifecycleChunk - 1) / storage::kMaxLifecycleChunk;
  std::vector<absl::StatusOr<storage::AppliedProposals>> applied(
      count, absl::UnknownError("apply lifecycle actions: not tried"));
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      applied[i] = store_.Apply(
          tick, SliceOf(proposals, i * storage::kMaxLifecycleChunk, storage::kMaxLifecycleChunk),
          deadline);
      if (!applied[i].ok()) continue;
      for (const auto& organization : applied[i]->queued_in) queue_signal_.Poke(organization);
      if (applied[i]->wrote_events) poker_.Poke();
    }
  };
  std::vector<std::jthread> others;
  for (size_t i = 1; i < std::min(count, kMaxChunksAtOnce); ++i) others.emplace_back(work);
  work();
  others.clear();
  return applied;
}

}  // namespace coder::api
