#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"

namespace coder::lifecycle {

/// What the autostart rule makes of a workspace.
struct AutostartFinding {
  /// The nominal time to start for, if one is due and nothing stands in the way.
  std::optional<absl::Time> due;
  std::vector<UnusedSlot> unused;
  /// As Decision::schedule_error.
  std::string schedule_error;
};

/// Why an autostart comes to nothing: a word and a sentence.
struct Obstacle {
  std::string reason;
  std::string detail;
};

/// What its owner, its own state and its template have against any autostart now.
std::optional<Obstacle> ObstacleAround(const LifecycleSnapshot& snapshot);

/// What was said against this one nominal time: SKIP_REQUESTED or BLACKOUT. The day is the one in
/// `zone`, the schedule's.
std::optional<Obstacle> ObstacleAtSlot(const LifecycleSnapshot& snapshot, absl::Time nominal,
                                       const absl::TimeZone& zone);

/// As ObstacleAtSlot, for blackout dates alone.
std::optional<Obstacle> BlackoutAt(const LifecycleSnapshot& snapshot, absl::Time nominal,
                                   const absl::TimeZone& zone);

/// Judges every nominal autostart after the newest build (or after the newest judged one) and up to
/// and including `tick`, each as late as the workspace's place in the spread window says. Of
/// several within the catch-up window the newest is taken and the others are superseded. While a
/// stop is still being done the slots within the window are left undecided, so that the workspace
/// starts when the stop has ended.
AutostartFinding FindAutostart(const LifecycleSnapshot& snapshot, absl::Time tick);

}  // namespace coder::lifecycle
