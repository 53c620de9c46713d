#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/transaction.h"

namespace coder::storage {

/// Why an event is written.
enum class BuildEventKind : uint8_t {
  /// The build's job reached its status.
  kStatusChanged,
  /// A state arrived from a provisioner that no longer held the lease.
  kLateStateStored,
  /// A stored late state was adopted or dismissed.
  kLateStateResolved,
  /// The workspace stops by itself soon; nothing changed.
  kAutostopReminder,
};

/// Writes the event of a change of `build` within `tx`, which must have locked the build's
/// workspace row and made the change already: bumps the workspace's event version and queues the
/// event for the relay, with the names and times as they now are. Two round trips. NOT_FOUND when
/// there is no such build; otherwise as Transaction::Execute.
absl::Status WriteBuildEvent(pg::Transaction& tx, const lifecycle::BuildId& build,
                             BuildEventKind kind = BuildEventKind::kStatusChanged);

/// As WriteBuildEvent for builds of workspaces that are all different, in the same two round trips.
/// No build means no event. NOT_FOUND when a build does not exist or two share a workspace.
absl::Status WriteBuildEvents(pg::Transaction& tx, const std::vector<lifecycle::BuildId>& builds,
                              BuildEventKind kind = BuildEventKind::kStatusChanged);

}  // namespace coder::storage
