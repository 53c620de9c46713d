#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "coder/api/v1/watch.pb.h"
#include "libs/events/watch_filter.h"
#include "libs/storage/event_log_store.h"
#include "libs/storage/workspace_snapshot_store.h"

namespace coder::api {

/// The current state of all admitted workspaces and where the log continues from, without a long
/// transaction: pages of states, then the events that were committed while they were read and are
/// newer than what was sent. One thread at a time; calls block.
class WatchSnapshot {
 public:
  /// What comes next.
  struct Next {
    /// To be sent, if it holds anything.
    v1::WatchAllWorkspaceBuildsResponse message;
    /// Nothing can go on yet: come again in a moment.
    bool again = false;
    /// The snapshot is complete; the log is followed from `position`.
    bool complete = false;
    int64_t epoch = 0;
    int64_t position = 0;
  };

  /// Both must outlive the snapshot.
  WatchSnapshot(storage::EventLogStore& log, storage::WorkspaceSnapshotStore& states,
                events::WatchFilter filter)
      : log_(log), states_(states), filter_(std::move(filter)) {}

  /// Takes the next step under `rights`. UNAVAILABLE: the database cannot be read now; the step can
  /// be taken again. FAILED_PRECONDITION, EPOCH_CHANGED: the log was set back meanwhile.
  absl::StatusOr<Next> Step(const events::WatchRights& rights);

 private:
  enum class Phase { kBegin, kPages, kMark, kWait, kTail };

  absl::StatusOr<Next> Page(const events::WatchRights& rights);
  absl::StatusOr<Next> Mark();
  absl::StatusOr<Next> Wait();
  absl::StatusOr<Next> Tail(const events::WatchRights& rights);

  storage::EventLogStore& log_;
  storage::WorkspaceSnapshotStore& states_;
  const events::WatchFilter filter_;
  Phase phase_ = Phase::kBegin;
  int64_t epoch_ = 0;
  int64_t sent_up_to_ = 0;
  int64_t end_ = 0;
  int64_t outbox_id_ = 0;
  std::string last_workspace_;
  absl::flat_hash_map<std::string, int64_t> versions_;
};

}  // namespace coder::api
