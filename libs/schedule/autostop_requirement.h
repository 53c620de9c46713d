#pragma once

#include <optional>

#include "absl/time/time.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/cron.h"

namespace coder::schedule {

/// A template's demand that its workspaces stop now and then, to pick up updates.
struct AutostopRequirement {
  /// The days on which they stop; none: no demand.
  DaysOfWeek days = 0;
  /// Every n-th week, 1 to 16, counted from the one of Monday 2023-01-02, which is the first.
  int weeks = 1;
};

/// A workspace that has just started is left running at least this long.
inline constexpr absl::Duration kAutostopLeeway = absl::Hours(2);

/// The time a workspace started at `completed_at` has to stop at: its owner's quiet hours (a daily
/// schedule) on the first demanded day, in the schedule's zone, that is at least kAutostopLeeway
/// later; absent without a demand.
std::optional<absl::Time> MaxDeadline(const AutostopRequirement& requirement,
                                      const Cron& quiet_hours, absl::Time completed_at);

}  // namespace coder::schedule
