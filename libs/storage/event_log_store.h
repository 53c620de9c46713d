#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/fanout/log_reader.h"

namespace coder::storage {

// The event log as those see it who only read it. Thread-safe; calls block.
class EventLogStore : public fanout::LogReader {
 public:
  // The position after which everything stands that was committed at or after `time`, as far as
  // the log reaches back. What stands there may begin a little earlier. UNAVAILABLE: as Bounds().
  virtual absl::StatusOr<int64_t> PositionBefore(absl::Time time) = 0;

  // The highest id visible in the outbox; 0 when it is empty. UNAVAILABLE: as Bounds().
  virtual absl::StatusOr<int64_t> HighestOutboxId() = 0;

  // Nothing while an outbox row with an id up to `outbox_id` is visible; after that the log's
  // bounds at a moment when none was. Every such row then has a position at or below `head`.
  // UNAVAILABLE: as Bounds().
  virtual absl::StatusOr<std::optional<fanout::LogBounds>> BoundsPast(int64_t outbox_id) = 0;
};

}  // namespace coder::storage
