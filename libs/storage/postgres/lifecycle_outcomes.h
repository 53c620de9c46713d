#pragma once

#include <cstdint>
#include <map>
#include <vector>

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

/// Orders keys; in no order that means anything.
struct ByKey {
  bool operator()(const LifecycleProposal& a, const LifecycleProposal& b) const;
};

/// Recorded outcomes by their keys.
using OutcomesByKey = std::map<LifecycleProposal, LifecycleResult, ByKey>;

/// Records outcomes within `tx`, which holds the locks of their workspaces. A recorded outcome
/// stays, but for one that left the nominal time open: a skipped action of any kind but autostart,
/// and an autostart skipped for want of a provisioner. Returns what was written. One round trip.
absl::StatusOr<OutcomesByKey> RecordOutcomes(pg::Transaction& tx,
                                             const std::vector<OutcomeToStore>& outcomes);

/// What is recorded for these keys. One round trip; none when there are no keys.
absl::StatusOr<OutcomesByKey> FindOutcomes(pg::Transaction& tx,
                                           const std::vector<LifecycleProposal>& keys);

}  // namespace coder::storage
