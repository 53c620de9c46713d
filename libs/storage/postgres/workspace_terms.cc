#include "libs/storage/postgres/workspace_terms.h"

#include "absl/strings/str_cat.h"
#include "libs/schedule/cron.h"
#include "libs/schedule/ttl.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

absl::Status BadSchedule(const absl::Status& why) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("set autostart schedule: ", why.message())),
      "autostart_schedule", why.message());
}

}  // namespace

absl::StatusOr<AutostartColumns> CheckAutostart(absl::string_view text, const ScheduleTerms& terms,
                                                absl::Time now) {
  if (text.empty()) return AutostartColumns{};
  if (!terms.allow_user_autostart) {
    return status::WithReason(
        absl::FailedPreconditionError("set autostart schedule: autostart is not allowed for "
                                      "workspaces using this template; leave the schedule empty"),
        "AUTOSTART_FORBIDDEN");
  }
  const absl::StatusOr<schedule::Cron> cron = schedule::Cron::ParseWeekly(text);
  if (!cron.ok()) return BadSchedule(cron.status());
  const absl::StatusOr<absl::Time> next =
      schedule::NextAllowedAutostart(now, *cron, terms.autostart_allowed_days);
  if (!next.ok()) return BadSchedule(next.status());
  return AutostartColumns{.schedule = cron->Normalize(),
                          .next_start_at = *next + terms.autostart_offset};
}

absl::StatusOr<std::optional<absl::Duration>> CheckWorkspaceTtl(std::optional<absl::Duration> ttl,
                                                                const ScheduleTerms& terms) {
  if (!ttl) return std::nullopt;
  if (!terms.allow_user_autostop) {
    return status::WithReason(
        absl::FailedPreconditionError("set ttl: a custom autostop time is not allowed for "
                                      "workspaces using this template; leave it out"),
        "AUTOSTOP_FORBIDDEN");
  }
  ASSIGN_OR_RETURN(const absl::Duration checked, schedule::CheckTtl(*ttl));
  return checked;
}

absl::Status NameTaken(absl::string_view name) {
  constexpr absl::string_view kWhy = "the owner has a workspace of this name; choose another name";
  return status::WithFieldViolation(
      status::WithReason(
          absl::AlreadyExistsError(absl::StrCat("name workspace \"", name, "\": ", kWhy)),
          "NAME_TAKEN", {{"name", std::string(name)}}),
      "name", kWhy);
}

}  // namespace coder::storage
