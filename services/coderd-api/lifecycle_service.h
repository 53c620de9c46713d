#pragma once

#include <vector>

#include "coder/lifecycle/v1/lifecycle.grpc.pb.h"
#include "libs/events/poker.h"
#include "libs/storage/lifecycle_store.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/job_signals.h"

namespace coder::api {

/// What the autostart-scheduler asks: candidates out, decisions in. For callers with the service
/// token. Thread-safe.
class LifecycleService final : public ::coder::lifecycle::v1::LifecycleService::Service {
 public:
  static constexpr char kName[] = "coder.lifecycle.v1.LifecycleService";

  /// All must outlive the service. `poker` and `queue_signal` are poked by the call that wrote
  /// events or queued builds.
  LifecycleService(const CallGate& gate, storage::LifecycleStore& store, events::OutboxPoker& poker,
                   JobQueueSignal& queue_signal)
      : gate_(gate), store_(store), poker_(poker), queue_signal_(queue_signal) {}

  grpc::Status StreamLifecycleCandidates(
      grpc::ServerContext* context,
      const ::coder::lifecycle::v1::StreamLifecycleCandidatesRequest* request,
      grpc::ServerWriter<::coder::lifecycle::v1::StreamLifecycleCandidatesResponse>* writer)
      override;
  grpc::Status ApplyLifecycleActions(
      grpc::ServerContext* context,
      const ::coder::lifecycle::v1::ApplyLifecycleActionsRequest* request,
      ::coder::lifecycle::v1::ApplyLifecycleActionsResponse* response) override;

 private:
  // Applies the chunks of a call, some at a time, and wakes who waits for what they wrote. One
  // answer for each chunk, in order.
  std::vector<absl::StatusOr<storage::AppliedProposals>> ApplyChunks(
      absl::Time tick, const std::vector<lifecycle::LifecycleProposal>& proposals,
      clock::Deadline deadline);

  const CallGate& gate_;
  storage::LifecycleStore& store_;
  events::OutboxPoker& poker_;
  JobQueueSignal& queue_signal_;
};

}  // namespace coder::api
