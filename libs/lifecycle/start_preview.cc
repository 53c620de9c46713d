#include "libs/lifecycle/start_preview.h"

#include <optional>
#include <utility>

#include "libs/lifecycle/autostart_slots.h"
#include "libs/schedule/autostart.h"

namespace coder::lifecycle {
namespace {

using schedule::ClockChange;

std::optional<Obstacle> ObstacleFor(const schedule::Cron& schedule, const LifecycleSnapshot& rules,
                                    absl::Time run) {
  if (!rules.policy.allow_user_autostart) {
    return Obstacle{"TEMPLATE_FORBIDS", "the template does not let its users autostart"};
  }
  const absl::Weekday day = absl::GetWeekday(absl::ToCivilDay(run, schedule.zone()));
  if (!schedule::Contains(rules.policy.autostart_allowed_days, day)) {
    return Obstacle{"DAY_FORBIDDEN", "the template does not allow autostarts on this day"};
  }
  return ObstacleAtSlot(rules, run, schedule.zone());
}

std::string ClockDetail(ClockChange change) {
  switch (change) {
    case ClockChange::kSkipped:
      return "the clocks skip the time; it fires at the first instant after the gap";
    case ClockChange::kRepeated:
      return "the clocks show the time twice; it fires at the first";
    case ClockChange::kNone:
      break;
  }
  return "";
}

}  // namespace

std::vector<PreviewedStart> PreviewStarts(const schedule::Cron& schedule,
                                          const LifecycleSnapshot& rules, absl::Time after,
                                          int count) {
  std::vector<PreviewedStart> starts;
  for (const absl::Time run : schedule.NextN(after, count)) {
    PreviewedStart start{.nominal_time = run,
                         .clock_change = schedule::ClockChangeAt(schedule, run)};
    start.detail = ClockDetail(start.clock_change);
    if (auto obstacle = ObstacleFor(schedule, rules, run)) {
      start.skip_reason = std::move(obstacle->reason);
      start.detail = std::move(obstacle->detail);
    }
    starts.push_back(std::move(start));
  }
  return starts;
}

}  // namespace coder::lifecycle
