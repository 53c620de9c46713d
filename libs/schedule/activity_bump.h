#pragma once

#include <optional>

#include "absl/time/time.h"
#include "libs/lifecycle/types.h"

namespace coder::schedule {

/// A workspace in use.
struct Activity {
  absl::Time now;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::JobStatus job_status = lifecycle::JobStatus::kSucceeded;
  std::optional<absl::Time> deadline;
  std::optional<absl::Time> max_deadline;
  /// The template's; zero: use does not move deadlines.
  absl::Duration bump = absl::Hours(1);
  /// The effective TTL.
  std::optional<absl::Duration> ttl;
  /// When the workspace starts by itself next.
  std::optional<absl::Time> next_autostart;
};

/// The deadline that use moves a running workspace's to; absent when it stays where it is.
///
/// At least `bump` after now; when that is at or after the next autostart, the TTL after that slot.
/// Never earlier than it was and never after max_deadline. So that each keystroke is not a write,
/// nothing moves until more than 5 % of the interval has passed since the last move (exactly 5 % is
/// not enough).
std::optional<absl::Time> DeadlineAfterActivity(const Activity& activity);

}  // namespace coder::schedule
