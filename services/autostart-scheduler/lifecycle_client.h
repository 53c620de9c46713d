#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/lifecycle/proposal.h"

namespace coder::scheduler {

/// Proposals of one Apply.
inline constexpr size_t kMaxProposals = 500;

/// Where the candidates come from and the decisions go: coderd-api, as the scheduler sees it. Used
/// from one thread at a time.
///
/// Both return, besides what they list: FAILED_PRECONDITION with reason TICK_IN_FUTURE (this
/// machine's clock is more than a minute ahead), UNAUTHENTICATED or PERMISSION_DENIED (the service
/// token is wrong), UNAVAILABLE, DEADLINE_EXCEEDED, and INTERNAL for an answer that makes no sense.
class LifecycleClient {
 public:
  using Take = std::function<void(const lifecycle::LifecycleCandidate&)>;

  virtual ~LifecycleClient() = default;

  /// Gives every workspace that may be due at `tick` to `take`, by id. CANCELLED when `stop` was
  /// requested meanwhile.
  virtual absl::Status StreamCandidates(absl::Time tick, std::stop_token stop,
                                        const Take& take) = 0;

  /// Has at most kMaxProposals applied; one answer for each, in order. Harmless to repeat.
  virtual absl::StatusOr<std::vector<lifecycle::LifecycleResult>> Apply(
      absl::Time tick, const std::vector<lifecycle::LifecycleProposal>& proposals) = 0;
};

}  // namespace coder::scheduler
