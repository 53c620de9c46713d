#include "libs/lifecycle/workspace_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::lifecycle {
namespace {

constexpr int32_t kEveryDay = 127;

absl::Status Violation(absl::string_view field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("check ", field, ": ", description)), field,
      description);
}

absl::Status CheckDuration(absl::string_view field, absl::Duration value, absl::Duration least,
                           absl::Duration most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Violation(field,
                   absl::StrCat(absl::FormatDuration(value), " is out of range; use ",
                                absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
}

absl::Status CheckDays(absl::string_view field, int32_t days) {
  if (days >= 0 && days <= kEveryDay) return absl::OkStatus();
  return Violation(field,
                   absl::StrCat(days, " is no set of days; use 0 to 127, bit 0 being Monday"));
}

absl::Status CheckCount(absl::string_view field, int32_t value, int32_t most) {
  if (value >= 1 && value <= most) return absl::OkStatus();
  return Violation(field, absl::StrCat(value, " is out of range; use 1 to ", most));
}

absl::Status CheckOptional(absl::string_view field, const std::optional<absl::Duration>& value,
                           absl::Duration most) {
  return value ? CheckDuration(field, *value, absl::Minutes(1), most) : absl::OkStatus();
}

}  // namespace

absl::Status CheckWorkspacePolicy(const WorkspacePolicy& policy) {
  RETURN_IF_ERROR(CheckOptional("default_ttl", policy.default_ttl, kMaxDefaultTtl));
  RETURN_IF_ERROR(CheckDuration("activity_bump", policy.activity_bump, absl::ZeroDuration(),
                                kMaxPolicyDuration));
  RETURN_IF_ERROR(CheckDays("autostart_allowed_days", policy.autostart_allowed_days));
  RETURN_IF_ERROR(CheckDays("autostop_requirement_days", policy.autostop_requirement_days));
  RETURN_IF_ERROR(CheckCount("autostop_requirement_weeks", policy.autostop_requirement_weeks,
                             kMaxRequirementWeeks));
  RETURN_IF_ERROR(CheckDuration("autostart_spread", policy.autostart_spread, absl::ZeroDuration(),
                                kMaxAutostartSpread));
  RETURN_IF_ERROR(
      CheckCount("autostart_max_attempts", policy.autostart_max_attempts, kMaxAutostartAttempts));
  RETURN_IF_ERROR(CheckDuration("autostart_retry_delay", policy.autostart_retry_delay,
                                absl::Minutes(1), absl::Hours(1)));
  RETURN_IF_ERROR(
      CheckOptional("autostop_reminder", policy.autostop_reminder, kMaxAutostopReminder));
  RETURN_IF_ERROR(CheckOptional("failure_ttl", policy.failure_ttl, kMaxPolicyDuration));
  RETURN_IF_ERROR(CheckOptional("time_til_dormant", policy.time_til_dormant, kMaxPolicyDuration));
  RETURN_IF_ERROR(CheckOptional("time_til_dormant_autodelete", policy.time_til_dormant_autodelete,
                                kMaxPolicyDuration));
  RETURN_IF_ERROR(CheckDuration("autostart_catch_up", policy.autostart_catch_up,
                                absl::ZeroDuration(), kMaxPolicyDuration));
  return CheckText("deprecation_message", policy.deprecation_message, kMaxDescriptionLength);
}

absl::Status CheckText(absl::string_view field, absl::string_view value, size_t max_length) {
  if (value.find('\0') != absl::string_view::npos) {
    return Violation(field, "holds a zero character; remove it");
  }
  const auto length = static_cast<size_t>(std::count_if(
      value.begin(), value.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
  if (length <= max_length) return absl::OkStatus();
  return Violation(field,
                   absl::StrCat("is ", length, " characters long; use at most ", max_length));
}

}  // namespace coder::lifecycle
