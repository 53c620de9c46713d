#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/ids/uuid.h"
#include "libs/pg/transaction.h"
#include "libs/storage/lifecycle_store.h"

namespace coder::storage {

/// FAILED_PRECONDITION, reason TICK_IN_FUTURE, when `tick` is more than kMaxTickAhead ahead of the
/// database's time.
absl::Status CheckTick(absl::Time tick, absl::Time database_time);

/// Does what LifecycleStore::Apply promises for one chunk within `tx`, which keeps the workspaces'
/// locks. A row that cannot be written fails all: only a rollback is left.
absl::StatusOr<AppliedProposals> ApplyBatch(pg::Transaction& tx, ids::UuidV7Generator& ids,
                                            absl::Time tick,
                                            const std::vector<LifecycleProposal>& proposals);

}  // namespace coder::storage
