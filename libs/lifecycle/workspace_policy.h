#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::lifecycle {

/// What a template says of the workspaces made from it.
struct WorkspacePolicy {
  /// Absent: workspaces do not stop by themselves unless their owner says so.
  std::optional<absl::Duration> default_ttl;
  /// How far activity pushes the deadline; zero: not at all.
  absl::Duration activity_bump = absl::Hours(1);
  bool allow_user_autostart = true;
  bool allow_user_autostop = true;
  bool allow_user_cancel_workspace_jobs = true;
  /// Starts use the active version, whatever the workspace had.
  bool require_active_version = false;
  /// Bit 0 is Monday; a set bit allows autostart on that day.
  int32_t autostart_allowed_days = 127;
  // Absent turns each of these off.
  std::optional<absl::Duration> failure_ttl;
  std::optional<absl::Duration> time_til_dormant;
  std::optional<absl::Duration> time_til_dormant_autodelete;
  /// How late a missed autostart may still run.
  absl::Duration autostart_catch_up = absl::Hours(1);
  /// The days on which workspaces have to stop in their owners' quiet hours, bit 0 being Monday;
  /// none: no requirement.
  int32_t autostop_requirement_days = 0;
  /// Every n-th week.
  int32_t autostop_requirement_weeks = 1;
  /// Autostarts are spread over this long after the nominal time; zero: all at once.
  absl::Duration autostart_spread;
  /// Of one nominal autostart while its builds fail, the first included.
  int32_t autostart_max_attempts = 1;
  /// After the first failure; doubled after each further one.
  absl::Duration autostart_retry_delay = absl::Minutes(5);
  /// How long before a deadline an event reminds of it; absent: not at all.
  std::optional<absl::Duration> autostop_reminder;
  /// Empty unless deprecated: why, and what to use instead.
  std::string deprecation_message;

  friend bool operator==(const WorkspacePolicy&, const WorkspacePolicy&) = default;
};

// In characters.
inline constexpr size_t kMaxDescriptionLength = 1024;
inline constexpr size_t kMaxIconLength = 256;
/// A workspace may not be told to run longer at a time than this.
inline constexpr absl::Duration kMaxDefaultTtl = absl::Hours(30 * 24);
/// No other duration of a policy may be longer.
inline constexpr absl::Duration kMaxPolicyDuration = absl::Hours(10 * 365 * 24);

inline constexpr absl::Duration kMaxAutostartSpread = absl::Hours(1);
inline constexpr int32_t kMaxAutostartAttempts = 10;
inline constexpr absl::Duration kMaxAutostopReminder = absl::Hours(24);
inline constexpr int32_t kMaxRequirementWeeks = 16;

/// OK, or INVALID_ARGUMENT with a violation of the first unacceptable field, named as in the
/// resource ("default_ttl"): default_ttl from a minute to 30 days; activity_bump and
/// autostart_catch_up from zero, the other durations from a minute, all to ten years;
/// autostart_allowed_days and autostop_requirement_days from 0 to 127; autostop_requirement_weeks 1
/// to 16; autostart_spread from zero to an hour; autostart_max_attempts 1 to 10;
/// autostart_retry_delay a minute to an hour; autostop_reminder a minute to a day; a deprecation
/// message of at most 1,024 characters.
absl::Status CheckWorkspacePolicy(const WorkspacePolicy& policy);

/// OK for UTF-8 of at most `max_length` characters without the zero one; otherwise INVALID_ARGUMENT
/// with a violation of `field`.
absl::Status CheckText(absl::string_view field, absl::string_view value, size_t max_length);

}  // namespace coder::lifecycle
