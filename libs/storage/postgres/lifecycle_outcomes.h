#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/transaction.h"
#include "libs/storage/lifecycle_store.h"

namespace coder::storage {

/// A nominal time and how it ended; the outcome is never kNotDue.
struct OutcomeToStore {
  LifecycleProposal key;
  LifecycleResult result;
};

/// Records outcomes within `tx`, which holds the locks of their workspaces. A recorded outcome
/// stays, but for one that left the nominal time open: a skipped action of any kind but autostart,
/// and an autostart skipped for want of a provisioner. One round trip.
absl::Status RecordOutcomes(pg::Transaction& tx, const std::vector<OutcomeToStore>& outcomes);

/// What is recorded for each key, in order; nothing where nothing is. One round trip.
absl::StatusOr<std::vector<std::optional<LifecycleResult>>> FindOutcomes(
    pg::Transaction& tx, const std::vector<LifecycleProposal>& keys);

}  // namespace coder::storage
