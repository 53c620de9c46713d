#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/events/watch_filter.h"

namespace coder::storage {

// The current state of one workspace.
struct WorkspaceState {
  std::string workspace_id;
  int64_t version = 0;
  // Its latest build as a serialised coder.events.v1.BuildEvent of this version.
  std::string event;
};

// Reads the current state of workspaces for a snapshot. Thread-safe; calls block.
class WorkspaceSnapshotStore {
 public:
  virtual ~WorkspaceSnapshotStore() = default;

  // Workspaces that are not deleted and have an event, by id from `after` (exclusive; empty: from
  // the first), at most `limit`; fewer only at the end. Only those that `rights` admit and, as far
  // as `filter` names organizations, owners, templates or workspaces, the filter.
  // UNAVAILABLE or DEADLINE_EXCEEDED: the database cannot be read now.
  virtual absl::StatusOr<std::vector<WorkspaceState>> Page(const std::string& after, int limit,
                                                           const events::WatchFilter& filter,
                                                           const events::WatchRights& rights) = 0;
};

}  // namespace coder::storage
