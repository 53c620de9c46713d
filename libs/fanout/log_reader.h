#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/events/pack.h"

namespace coder::fanout {

// What the log holds at one moment.
struct LogBounds {
  int64_t epoch = 0;
  // The lowest position that can still be read; from 1. head + 1 when nothing is kept.
  int64_t floor = 1;
  // The last position given out; 0 before the first event.
  int64_t head = 0;
  // The last position the stream acknowledged; 0 before the first, or where nobody knows.
  int64_t confirmed = 0;
};

// The event log, the truth about what happened in which order. Calls block, so they are made from
// threads that may wait; any thread may call.
class LogReader {
 public:
  virtual ~LogReader() = default;

  // UNAVAILABLE: the log cannot be reached now; try again.
  virtual absl::StatusOr<LogBounds> Bounds() = 0;

  // The packs that hold the positions in (after, up_to], in order and without a hole from after + 1
  // on; at most about `max_events` events (at least one pack when there is one), fewer when the log
  // ends earlier. The first and the last pack may reach beyond the range. Every pack carries the
  // epoch of Bounds(), whatever epoch it was written in: what is still in the log is part of it.
  // OUT_OF_RANGE: after + 1 is below the log's floor. UNAVAILABLE: as above.
  virtual absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> Read(
      int64_t after, int64_t up_to, int64_t max_events) = 0;
};

}  // namespace coder::fanout
