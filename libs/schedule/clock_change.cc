#include "libs/schedule/clock_change.h"

#include "absl/time/civil_time.h"

namespace coder::schedule {

ClockChange ClockChangeAt(const Cron& schedule, absl::Time run) {
  const absl::CivilSecond wall = absl::ToCivilSecond(run, schedule.zone());
  if (!schedule.Names(absl::CivilMinute(wall))) return ClockChange::kSkipped;
  const bool repeated = schedule.zone().At(wall).kind == absl::TimeZone::TimeInfo::REPEATED;
  return repeated ? ClockChange::kRepeated : ClockChange::kNone;
}

}  // namespace coder::schedule
