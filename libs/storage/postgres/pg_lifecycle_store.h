#pragma once

#include <vector>

#include "libs/ids/uuid.h"
#include "libs/pg/pool.h"
#include "libs/storage/lifecycle_store.h"

namespace coder::storage {

/// LifecycleStore in PostgreSQL. The time that decides is clock_timestamp() after the locks.
class PgLifecycleStore : public LifecycleStore {
 public:
  /// Pool and generator must outlive the store.
  PgLifecycleStore(pg::Pool& pool, ids::UuidV7Generator& ids) : pool_(pool), ids_(ids) {}

  absl::StatusOr<std::vector<lifecycle::WorkspaceId>> DueWorkspaces(
      absl::Time tick, clock::Deadline deadline) override;

  absl::StatusOr<std::vector<LifecycleCandidate>> Candidates(
      const std::vector<lifecycle::WorkspaceId>& workspaces, clock::Deadline deadline) override;

  absl::StatusOr<AppliedProposals> Apply(absl::Time tick,
                                         const std::vector<LifecycleProposal>& proposals,
                                         clock::Deadline deadline) override;

 private:
  absl::StatusOr<AppliedProposals> ApplyOnce(absl::Time tick,
                                             const std::vector<LifecycleProposal>& proposals,
                                             clock::Deadline deadline);
  absl::StatusOr<AppliedProposals> ApplyOneByOne(absl::Time tick,
                                                 const std::vector<LifecycleProposal>& proposals,
                                                 clock::Deadline deadline);

  pg::Pool& pool_;
  ids::UuidV7Generator& ids_;
};

}  // namespace coder::storage
