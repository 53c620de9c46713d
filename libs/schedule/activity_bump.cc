#include "libs/schedule/activity_bump.h"

#include <algorithm>

namespace coder::schedule {
namespace {

absl::Duration IntervalOf(const Activity& activity) {
  const auto& slot = activity.next_autostart;
  if (!slot || activity.now + activity.bump < *slot) return activity.bump;
  return *slot - activity.now + activity.ttl.value_or(absl::ZeroDuration());
}

}  // namespace

std::optional<absl::Time> DeadlineAfterActivity(const Activity& activity) {
  const bool running = activity.transition == lifecycle::BuildTransition::kStart &&
                       activity.job_status == lifecycle::JobStatus::kSucceeded;
  if (!running || !activity.deadline || activity.bump <= absl::ZeroDuration()) return std::nullopt;
  const absl::Duration interval = std::max(activity.bump, IntervalOf(activity));
  if (*activity.deadline - interval * 19 / 20 >= activity.now) return std::nullopt;
  absl::Time moved = activity.now + interval;
  if (activity.max_deadline) moved = std::min(moved, *activity.max_deadline);
  if (moved <= *activity.deadline) return std::nullopt;
  return moved;
}

}  // namespace coder::schedule
