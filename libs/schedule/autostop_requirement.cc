#include "libs/schedule/autostop_requirement.h"

#include <algorithm>

#include "absl/time/civil_time.h"

namespace coder::schedule {
namespace {

constexpr absl::CivilDay kFirstMonday(2023, 1, 2);

bool IsDemanded(const AutostopRequirement& requirement, absl::CivilDay day) {
  if (!Contains(requirement.days, absl::GetWeekday(day))) return false;
  const auto days = day - kFirstMonday;
  const auto week = (days >= 0 ? days : days - 6) / 7;
  return week % std::max(requirement.weeks, 1) == 0;
}

}  // namespace

std::optional<absl::Time> MaxDeadline(const AutostopRequirement& requirement,
                                      const Cron& quiet_hours, absl::Time completed_at) {
  if ((requirement.days & kEveryDay) == 0) return std::nullopt;
  const absl::Time earliest = completed_at + kAutostopLeeway;
  absl::CivilDay day = absl::ToCivilDay(earliest, quiet_hours.zone());
  for (;; ++day) {
    if (!IsDemanded(requirement, day)) continue;
    const absl::TimeZone::TimeInfo midnight = quiet_hours.zone().At(absl::CivilSecond(day));
    const absl::Time begin =
        midnight.kind == absl::TimeZone::TimeInfo::SKIPPED ? midnight.trans : midnight.pre;
    const absl::Time stop = quiet_hours.Next(begin - absl::Nanoseconds(1));
    if (stop >= earliest) return stop;
  }
}

}  // namespace coder::schedule
