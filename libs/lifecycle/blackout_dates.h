#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"

namespace coder::lifecycle {

/// Days without autostarts; each is a day in the zone of the schedule it is held against.
struct BlackoutDates {
  absl::CivilDay first;
  /// Included.
  absl::CivilDay last;
  /// Shown with each slot that is skipped for it; may be empty.
  std::string reason;
};

inline constexpr int kMaxBlackoutDays = 366;
/// In characters.
inline constexpr size_t kMaxBlackoutReason = 256;

/// Reads `2026-12-24`. INVALID_ARGUMENT with a violation of `field` for anything else.
absl::StatusOr<absl::CivilDay> ParseDate(absl::string_view field, absl::string_view text);

/// The dates of a blackout as a person gives them; an empty `last_date` is the first one.
/// INVALID_ARGUMENT with a violation of `first_date`, `last_date` or `reason`: no date, the last
/// before the first, more than kMaxBlackoutDays days, too long a reason.
absl::StatusOr<BlackoutDates> CheckBlackout(absl::string_view first_date,
                                            absl::string_view last_date, std::string reason);

/// `2026-12-24`.
std::string FormatDate(absl::CivilDay day);

}  // namespace coder::lifecycle
