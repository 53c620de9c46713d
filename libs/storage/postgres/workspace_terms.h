#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/schedule/autostart.h"

namespace coder::storage {

/// What a template lets users say about their workspaces' times.
struct ScheduleTerms {
  bool allow_user_autostart = true;
  bool allow_user_autostop = true;
  schedule::DaysOfWeek autostart_allowed_days = schedule::kEveryDay;
  /// The workspace's place in the template's spread window.
  absl::Duration autostart_offset;
};

/// An autostart schedule as its columns hold it; both absent without one.
struct AutostartColumns {
  std::optional<std::string> schedule;
  std::optional<absl::Time> next_start_at;
};

/// The columns for a schedule given as `text`; empty: none, which is always allowed.
/// INVALID_ARGUMENT, with a violation of `autostart_schedule`, when it cannot be read or never
/// falls on an allowed day; FAILED_PRECONDITION, reason AUTOSTART_FORBIDDEN.
absl::StatusOr<AutostartColumns> CheckAutostart(absl::string_view text, const ScheduleTerms& terms,
                                                absl::Time now);

/// The TTL to store for the one given, if any; none is always allowed. INVALID_ARGUMENT as
/// schedule::CheckTtl; FAILED_PRECONDITION, reason AUTOSTOP_FORBIDDEN.
absl::StatusOr<std::optional<absl::Duration>> CheckWorkspaceTtl(std::optional<absl::Duration> ttl,
                                                                const ScheduleTerms& terms);

/// The refusal of a name that another workspace of the owner has.
absl::Status NameTaken(absl::string_view name);

}  // namespace coder::storage
