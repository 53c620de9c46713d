#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/lifecycle/types.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/cron.h"

namespace coder::schedule {

inline constexpr absl::Duration kMinTtl = absl::Minutes(1);
inline constexpr absl::Duration kMaxTtl = absl::Hours(30 * 24);

/// The time until a workspace stops by itself, cut to whole minutes. INVALID_ARGUMENT, with a
/// violation of `ttl`, below one minute or above 30 days; both are allowed themselves.
absl::StatusOr<absl::Duration> CheckTtl(absl::Duration ttl);

/// The TTL that governs a workspace: its own where the template lets users set it, else the
/// template's default; absent: it does not stop by itself.
std::optional<absl::Duration> EffectiveTtl(std::optional<absl::Duration> workspace_ttl,
                                           std::optional<absl::Duration> template_default,
                                           bool allow_user_autostop);

/// What a start's deadline follows from.
struct StartedWorkspace {
  /// When the start's job succeeded.
  absl::Time completed_at;
  /// The effective one.
  std::optional<absl::Duration> ttl;
  /// Where the workspace starts by itself.
  std::optional<Cron> autostart;
  DaysOfWeek autostart_allowed_days = kEveryDay;
  /// What no deadline may exceed; see autostop_requirement.h.
  std::optional<absl::Time> max_deadline;
};

/// When a workspace that has just started stops by itself; absent: never. The TTL after the start,
/// or, when that is at or after the next autostart, the TTL after that slot, so that the slot does
/// not find the workspace stopped a moment before. Never after max_deadline, and at max_deadline
/// without a TTL.
std::optional<absl::Time> DeadlineAfterStart(const StartedWorkspace& started);

/// The least distance of an extended deadline.
inline constexpr absl::Duration kMinExtension = absl::Minutes(30);

/// What an extension of a deadline is judged by.
struct Extension {
  absl::Time requested;
  absl::Time now;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::JobStatus job_status = lifecycle::JobStatus::kSucceeded;
  std::optional<absl::Time> deadline;
  std::optional<absl::Time> max_deadline;
};

/// OK when the deadline may move to `requested`: at least 30 minutes ahead (a minute is granted for
/// the way here) and at most max_deadline. FAILED_PRECONDITION with reason NOT_RUNNING (not
/// started, or still building) or NO_DEADLINE (its shutdown is manual); INVALID_ARGUMENT, with a
/// violation of `deadline`, when it is too near or too far.
absl::Status CheckExtension(const Extension& extension);

}  // namespace coder::schedule
