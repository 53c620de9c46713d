#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/proposal.h"

namespace coder::storage {

using lifecycle::LifecycleCandidate;
using lifecycle::LifecycleOutcome;
using lifecycle::LifecycleProposal;
using lifecycle::LifecycleResult;

/// What became of a batch of proposals.
struct AppliedProposals {
  /// One for each proposal, in order.
  std::vector<LifecycleResult> results;
  /// Where this call queued builds: their provisioners may be woken.
  std::set<lifecycle::OrganizationId> queued_in;
  /// Whether this call wrote events: the relay may be poked.
  bool wrote_events = false;
};

/// The outcome reasons that are not the domain's (lifecycle::UnusedSlot) nor a refused build's
/// (lifecycle::CheckNewBuild).
inline constexpr char kNoProvisioner[] = "NO_PROVISIONER";
inline constexpr char kScheduleInvalid[] = "SCHEDULE_INVALID";
/// The rows of this one workspace could not be written; not recorded.
inline constexpr char kWriteFailed[] = "WRITE_FAILED";

/// How far a tick may be ahead of the database's time.
inline constexpr absl::Duration kMaxTickAhead = absl::Minutes(1);
/// Proposals of one Apply: the bound on how many workspaces one transaction holds.
inline constexpr size_t kMaxLifecycleChunk = 100;

/// What the lifecycle rules read and write. Safe to call from many threads and from many
/// processes at once.
///
/// Every method may return, besides what it lists: FAILED_PRECONDITION with reason TICK_IN_FUTURE
/// (the tick is more than kMaxTickAhead ahead of the database), UNAVAILABLE (the database cannot be
/// reached), DEADLINE_EXCEEDED, ABORTED (lost against other transactions too often),
/// RESOURCE_EXHAUSTED (too many callers wait for the database).
class LifecycleStore {
 public:
  virtual ~LifecycleStore() = default;

  /// All workspaces, by id, that may be due at `tick`: a superset.
  virtual absl::StatusOr<std::vector<lifecycle::WorkspaceId>> DueWorkspaces(
      absl::Time tick, clock::Deadline deadline) = 0;

  /// What the rules read of these workspaces, by id; those without a build are left out. Where the
  /// next autostart is not known yet it is computed and stored on the way. Some hundred at once:
  /// all are read by one statement.
  virtual absl::StatusOr<std::vector<LifecycleCandidate>> Candidates(
      const std::vector<lifecycle::WorkspaceId>& workspaces, clock::Deadline deadline) = 0;

  /// Locks the proposed workspaces, decides again by the database's time, and does and records all
  /// that is due to them: builds with their events, dormancy, unused autostarts. One answer for
  /// each proposal, in order: what is recorded for it now, whoever recorded it. All in one
  /// transaction; only when a row makes that fail is each workspace done in one of its own, and
  /// what still fails is answered as skipped with WRITE_FAILED.
  ///   INVALID_ARGUMENT  more than kMaxLifecycleChunk proposals
  ///   UNKNOWN           the connection broke while committing; proposing again is harmless
  virtual absl::StatusOr<AppliedProposals> Apply(absl::Time tick,
                                                 const std::vector<LifecycleProposal>& proposals,
                                                 clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
