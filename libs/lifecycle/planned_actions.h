#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"

namespace coder::lifecycle {

/// Something that a workspace will do by itself if nothing changes until then.
struct PlannedAction {
  LifecycleKind kind = LifecycleKind::kAutostart;
  absl::Time nominal_time;
  /// When it is done: the nominal time and the spread offset; for a retry when its delay is over;
  /// `now` for what is due already.
  absl::Time act_time;
  int32_t attempt = 1;
  /// Empty: it will be done. Otherwise as UnusedSlot::reason.
  std::string skip_reason;
  /// One sentence for a person.
  std::string detail;
};

/// At most this many skipped autostarts are told before the first that is not.
inline constexpr int kMaxPlannedSkips = 4;

/// What comes next, by act_time: the next autostarts up to the first that starts the workspace (a
/// year ahead at most), a retry, the stop, its reminder, failed cleanup, dormancy and deletion.
/// Builds under way are taken to succeed.
std::vector<PlannedAction> PlannedActions(const LifecycleSnapshot& snapshot, absl::Time now);

}  // namespace coder::lifecycle
