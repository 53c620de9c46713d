#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "libs/schedule/cron.h"

namespace coder::schedule {

/// What daylight saving made of one run.
enum class ClockChange : uint8_t {
  kNone,
  /// The clocks skip the time the schedule names; it runs at the first instant after the gap.
  kSkipped,
  /// The clocks show the time twice; it runs at the first.
  kRepeated,
};

/// What the clocks of the schedule's zone do at `run`, which must be one of its runs.
ClockChange ClockChangeAt(const Cron& schedule, absl::Time run);

}  // namespace coder::schedule
