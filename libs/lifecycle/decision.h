#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/lifecycle/blackout_dates.h"
#include "libs/lifecycle/types.h"
#include "libs/schedule/autostart.h"

namespace coder::lifecycle {

/// The rules by which workspaces start, stop and vanish by themselves.
enum class LifecycleKind : uint8_t {
  kAutostart,
  kAutostop,
  kFailedCleanup,
  kDormancy,
  kAutodelete,
  /// An event some time before a deadline; no build.
  kAutostopReminder,
};

/// "autostart", "autostop", "failed_cleanup", "dormancy", "autodelete" or "autostop_reminder".
/// Static storage.
absl::string_view ToString(LifecycleKind kind);
/// The kind whose word is exactly `text`; INVALID_ARGUMENT, listing the words, for other text.
absl::StatusOr<LifecycleKind> ParseLifecycleKind(absl::string_view text);

/// What a template says of its workspaces' lives; an absent duration turns its rule off.
struct TemplatePolicy {
  bool allow_user_autostart = true;
  schedule::DaysOfWeek autostart_allowed_days = schedule::kEveryDay;
  /// How late a missed autostart may still run; exactly this late still runs.
  absl::Duration autostart_catch_up = absl::Hours(1);
  std::optional<absl::Duration> failure_ttl;
  std::optional<absl::Duration> time_til_dormant;
  std::optional<absl::Duration> time_til_dormant_autodelete;
  /// Of one nominal autostart while its builds fail, the first included.
  int32_t autostart_max_attempts = 1;
  /// After the first failure; doubled after each further one, to at most kMaxRetryDelay.
  absl::Duration autostart_retry_delay = absl::Minutes(5);
  /// How long before a deadline an event reminds of it.
  std::optional<absl::Duration> autostop_reminder;
};

/// No retry waits longer.
inline constexpr absl::Duration kMaxRetryDelay = absl::Hours(1);

/// A nominal autostart whose build failed.
struct FailedAutostart {
  absl::Time nominal_time;
  /// From 1.
  int32_t attempt = 1;
};

/// What the decision knows of one workspace.
struct LifecycleSnapshot {
  bool deleted = false;
  UserStatus owner_status = UserStatus::kActive;
  /// The newest build and its job.
  BuildTransition transition = BuildTransition::kStart;
  JobStatus job_status = JobStatus::kSucceeded;
  absl::Time build_created_at;
  /// Absent while the job has not ended.
  std::optional<absl::Time> job_completed_at;
  std::optional<absl::Time> deadline;
  /// Empty: does not start by itself.
  std::string autostart_schedule;
  /// Since when it has been this one; absent where that is not known: since the newest build.
  std::optional<absl::Time> autostart_set_at;
  /// The newest nominal autostart that already has an outcome, where known.
  std::optional<absl::Time> autostart_decided_until;
  /// How long after its nominal times it starts: its place in the template's spread window.
  absl::Duration autostart_offset;
  /// Nominal autostarts up to this one are to be left out.
  std::optional<absl::Time> autostart_skip_until;
  /// Those of its organization and template that touch slots still undecided.
  std::vector<BlackoutDates> blackouts;
  /// What the newest build was for, if it is an autostart that failed and whose next attempt has no
  /// outcome yet.
  std::optional<FailedAutostart> failed_autostart;
  /// The deadline's reminder was written.
  bool autostop_reminded = false;
  absl::Time last_used_at;
  std::optional<absl::Time> dormant_at;
  std::optional<absl::Time> deleting_at;
  TemplatePolicy policy;
};

enum class LifecycleAction : uint8_t { kNone, kStart, kStop, kDelete, kMarkDormant, kRemind };

/// A nominal autostart that comes to nothing, and why.
struct UnusedSlot {
  absl::Time nominal_time;
  /// True: older than the catch-up window. False: skipped for `reason`.
  bool missed = false;
  /// USER_SUSPENDED, USER_DORMANT, WORKSPACE_DORMANT, TEMPLATE_FORBIDS, SKIP_REQUESTED, BLACKOUT,
  /// BUILD_ACTIVE, BUILD_FAILED, ALREADY_STARTED, BEING_DELETED, SUPERSEDED or OUTSIDE_CATCH_UP.
  std::string reason;
  /// One sentence for a person.
  std::string detail;
  /// Above 1 for a retry that comes to nothing.
  int32_t attempt = 1;
};

/// What should happen to a workspace now.
struct Decision {
  LifecycleAction action = LifecycleAction::kNone;
  /// Meaningful with an action: the rule, the build's reason and when the action was due.
  LifecycleKind kind = LifecycleKind::kAutostart;
  BuildReason reason = BuildReason::kAutostart;
  absl::Time nominal_time = absl::InfinitePast();
  /// Above 1 for a retry of an autostart.
  int32_t attempt = 1;
  /// One sentence for a person: why this, or why nothing.
  std::string explanation;
  /// Autostarts that came due and are not this action, oldest first; each to be recorded once.
  std::vector<UnusedSlot> unused_slots;
  /// Not empty when the schedule cannot be read or never fires on an allowed day: to be shown to
  /// the owner and counted. The other rules still hold.
  std::string schedule_error;
};

/// At most this many unused slots are told in one decision, the oldest: of a schedule that fires
/// every few minutes, an outage does not become thousands of records.
inline constexpr int kMaxUnusedSlots = 64;

/// The first rule that is due at `tick`, tried in the order autostop, autostart with its retries,
/// failed cleanup (which waits for a retry that is to come), dormancy, autodelete, reminder. Pure:
/// the scheduler decides with it, and whoever writes the build decides again under the workspace's
/// lock.
///
/// On the boundary (tick exactly at the time): autostop, autostart, its retry and the reminder are
/// due; failed cleanup, dormancy and autodelete are not, they become due the instant after.
Decision NextTransition(const LifecycleSnapshot& snapshot, absl::Time tick);

}  // namespace coder::lifecycle
