#include "libs/lifecycle/blackout_dates.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/workspace_policy.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::lifecycle {
namespace {

absl::Status Violation(absl::string_view field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("check blackout: ", field, " ", description)), field,
      description);
}

}  // namespace

absl::StatusOr<absl::CivilDay> ParseDate(absl::string_view field, absl::string_view text) {
  absl::CivilDay day;
  // What is lenient in absl's parser does not come back the same.
  if (absl::ParseCivilTime(text, &day) && FormatDate(day) == text) return day;
  return Violation(field, absl::StrCat("\"", text, "\" is no date; write it as 2026-12-24"));
}

absl::StatusOr<BlackoutDates> CheckBlackout(absl::string_view first_date,
                                            absl::string_view last_date, std::string reason) {
  BlackoutDates dates;
  ASSIGN_OR_RETURN(dates.first, ParseDate("first_date", first_date));
  dates.last = dates.first;
  if (!last_date.empty()) {
    ASSIGN_OR_RETURN(dates.last, ParseDate("last_date", last_date));
  }
  if (dates.last < dates.first) {
    return Violation("last_date", absl::StrCat(last_date, " is before the first date; use ",
                                               first_date, " or a later day"));
  }
  if (dates.last - dates.first >= kMaxBlackoutDays) {
    return Violation("last_date",
                     absl::StrCat(last_date, " makes it ", dates.last - dates.first + 1,
                                  " days long; use at most ", kMaxBlackoutDays));
  }
  RETURN_IF_ERROR(CheckText("reason", reason, kMaxBlackoutReason));
  dates.reason = std::move(reason);
  return dates;
}

std::string FormatDate(absl::CivilDay day) { return absl::FormatCivilTime(day); }

}  // namespace coder::lifecycle
