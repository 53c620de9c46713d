#include "libs/schedule/autostart.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

namespace coder::schedule {
namespace {

constexpr absl::Duration kLookAhead = absl::Hours(7 * 24);

absl::Time StartOfNextDay(absl::Time at, const absl::TimeZone& zone) {
  const absl::CivilDay tomorrow = absl::CivilDay(absl::ToCivilDay(at, zone)) + 1;
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(tomorrow));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

}  // namespace

bool Contains(DaysOfWeek days, absl::Weekday day) {
  return (days >> static_cast<int>(day) & 1) != 0;
}

absl::StatusOr<absl::Time> NextAllowedAutostart(absl::Time at, const Cron& schedule,
                                                DaysOfWeek allowed) {
  const absl::Time limit = at + kLookAhead;
  absl::Time run = schedule.Next(at);
  while (run <= limit) {
    if (Contains(allowed, absl::GetWeekday(absl::ToCivilDay(run, schedule.zone())))) return run;
    // The rest of a forbidden day need not be walked minute by minute.
    const absl::Time rest = StartOfNextDay(run, schedule.zone()) - absl::Nanoseconds(1);
    run = schedule.Next(std::max(run, rest));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "find next autostart: schedule \"", schedule.Normalize(),
      "\" has no run within 7 days on a day the template allows; choose another day or ask a "
      "template administrator to allow one"));
}

}  // namespace coder::schedule
