#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"
#include "libs/schedule/clock_change.h"
#include "libs/schedule/cron.h"

namespace coder::lifecycle {

/// One of a schedule's next times.
struct PreviewedStart {
  absl::Time nominal_time;
  schedule::ClockChange clock_change = schedule::ClockChange::kNone;
  /// Empty: it starts the workspace. Otherwise DAY_FORBIDDEN, BLACKOUT, SKIP_REQUESTED or
  /// TEMPLATE_FORBIDS.
  std::string skip_reason;
  /// One sentence for a person; empty when nothing needs saying.
  std::string detail;
};

/// The first `count` times of `schedule` strictly after `after`, rising, with what the rules say of
/// each. Of `rules` only the template's policy, the blackouts and what is to be left out count.
std::vector<PreviewedStart> PreviewStarts(const schedule::Cron& schedule,
                                          const LifecycleSnapshot& rules, absl::Time after,
                                          int count);

}  // namespace coder::lifecycle
