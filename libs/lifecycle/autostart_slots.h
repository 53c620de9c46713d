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

/// Judges every nominal autostart after the newest build (or after the newest judged one) and up to
/// and including `tick`. Of several within the catch-up window the newest is taken and the others
/// are superseded. While a stop is still being done the slots within the window are left undecided,
/// so that the workspace starts when the stop has ended.
AutostartFinding FindAutostart(const LifecycleSnapshot& snapshot, absl::Time tick);

}  // namespace coder::lifecycle
