#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coder::storage {

// One row of the event log: consecutive events and the numbers that name them.
struct StoredPack {
  int64_t first_position = 0;
  int64_t last_position = 0;
  // The outbox id of the last event.
  int64_t last_event_id = 0;
  // A serialised BuildEventPack.
  std::string payload;
  // When the oldest event was put into the outbox, and when the pack got its positions.
  absl::Time committed_at;
  absl::Time sequenced_at;
};

// The sequencer's only row.
struct LogCursor {
  // Rises when the log was set back.
  int64_t epoch = 0;
  // The last position given out; 0: none.
  int64_t head = 0;
  // Positions below it have been dropped.
  int64_t log_floor = 1;
  // Everything up to here was acknowledged by the stream once.
  int64_t confirmed_position = 0;
};

// What one step of sequencing did.
struct Sequenced {
  // The epoch and the head after it; absent when there was nothing to do.
  std::optional<int64_t> epoch;
  int64_t head = 0;
  // Events moved out of the outbox.
  int64_t events = 0;
  // The new packs, in order.
  std::vector<StoredPack> packs;
};

// How much waits in the outbox.
struct OutboxStats {
  int64_t rows = 0;
  // Of the oldest row, by the database's clock; zero when there is none.
  absl::Duration oldest_age;
};

// Gives committed events their place in the one global order and keeps the log they end up in. Any
// number of processes may do so at once: the cursor row's lock makes them take turns.
//
// Works on one database session, so that its user can tell when it speaks to a database that may
// have gone back in time: what is done on one session is done on one history. One thread at a time.
// Every method may also return UNAVAILABLE (no session) and DEADLINE_EXCEEDED.
class EventSequencer {
 public:
  virtual ~EventSequencer() = default;

  // The number of the session, which is opened when there is none. Another number than before:
  // the database may be another one, or an older state of it.
  virtual absl::StatusOr<int64_t> Session() = 0;

  // Moves what is visible in the outbox, at most `max_events`, to the log's end, and records that
  // the stream holds everything up to `confirmed` (0: nothing to record). Takes effect as a whole
  // or not at all. FAILED_PRECONDITION: `session` is over. ABORTED: another process holds the
  // cursor for too long.
  virtual absl::StatusOr<Sequenced> Sequence(int64_t session, int64_t max_events,
                                             int64_t confirmed) = 0;

  // FAILED_PRECONDITION: `session` is over.
  virtual absl::StatusOr<LogCursor> ReadCursor(int64_t session) = 0;

  // The packs from the one that holds position `after` + 1 on, in order; about `max_events` events,
  // and none that begins above `after` + `max_events`. FAILED_PRECONDITION: `session` is over.
  virtual absl::StatusOr<std::vector<StoredPack>> ReadPacks(int64_t session, int64_t after,
                                                            int64_t max_events) = 0;

  // Begins an epoch of at least `next` if the log is still of epoch `current`, and returns the one
  // it is of now. Its number was never used before, not even by a state of the database that was
  // undone since. FAILED_PRECONDITION: `session` is over.
  virtual absl::StatusOr<int64_t> BeginEpoch(int64_t session, int64_t current, int64_t next) = 0;

  // Makes partitions of the log ahead of its head; returns how many were missing. `ahead` counts
  // those after the current one, 1 to 100.
  virtual absl::StatusOr<int> EnsurePartitions(int ahead) = 0;

  // Drops the partitions that lie wholly below `keep_from`, and never what the stream has not
  // acknowledged. Returns the log's floor.
  virtual absl::StatusOr<int64_t> DropPartitions(int64_t keep_from) = 0;

  // The last position whose pack was sequenced before `time`; 0 when there is none.
  virtual absl::StatusOr<int64_t> PositionBefore(absl::Time time) = 0;

  // The database's time.
  virtual absl::StatusOr<absl::Time> DatabaseNow() = 0;

  virtual absl::StatusOr<OutboxStats> ReadOutboxStats() = 0;
};

}  // namespace coder::storage
