#include "libs/lifecycle/autostart_slots.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/schedule/cron.h"

namespace coder::lifecycle {
namespace {

// Why a slot cannot be used now, as far as the newest build goes.
std::optional<Obstacle> ObstacleInBuild(const LifecycleSnapshot& snapshot) {
  const bool active = !IsFinal(snapshot.job_status);
  if (snapshot.transition == BuildTransition::kDelete) {
    return Obstacle{"BEING_DELETED", "the workspace's latest build deletes it"};
  }
  if (active) {
    return Obstacle{"BUILD_ACTIVE", absl::StrCat("a ", ToString(snapshot.transition), " build was ",
                                                 ToString(snapshot.job_status), " all the time")};
  }
  if (snapshot.job_status == JobStatus::kFailed) {
    return Obstacle{"BUILD_FAILED", absl::StrCat("the latest ", ToString(snapshot.transition),
                                                 " build failed; start the workspace yourself")};
  }
  if (snapshot.transition == BuildTransition::kStart) {
    return Obstacle{"ALREADY_STARTED", "the workspace's latest build is a start"};
  }
  return std::nullopt;
}

// A nominal time, and what was said against it beforehand.
struct Slot {
  absl::Time nominal;
  std::optional<Obstacle> obstacle;
};

// Nominal times: the oldest kMaxUnusedSlots of them, and the newest that nothing was said against.
struct Slots {
  std::vector<Slot> oldest;
  std::optional<absl::Time> newest;
};

absl::StatusOr<Slots> SlotsUntil(const LifecycleSnapshot& snapshot, absl::Time last) {
  const absl::StatusOr<schedule::Cron> cron =
      schedule::Cron::ParseWeekly(snapshot.autostart_schedule);
  if (!cron.ok()) return cron.status();
  const auto next = [&](absl::Time after) {
    return schedule::NextAllowedAutostart(after, *cron, snapshot.policy.autostart_allowed_days);
  };
  // A schedule says nothing of the time before it was set.
  absl::Time from = snapshot.autostart_set_at.value_or(snapshot.build_created_at);
  if (snapshot.autostart_decided_until) from = std::max(from, *snapshot.autostart_decided_until);
  Slots slots;
  absl::StatusOr<absl::Time> slot = next(from);
  for (; slot.ok() && *slot <= last; slot = next(*slot)) {
    std::optional<Obstacle> obstacle = ObstacleAtSlot(snapshot, *slot, cron->zone());
    if (!obstacle) slots.newest = *slot;
    if (slots.oldest.size() < kMaxUnusedSlots) {
      slots.oldest.push_back({*slot, std::move(obstacle)});
    } else if (*slot < last - snapshot.policy.autostart_catch_up) {
      // Those in between are too many to tell and too late to run; only the window still matters.
      slot = std::max(*slot, last - snapshot.policy.autostart_catch_up - absl::Nanoseconds(1));
    }
  }
  if (!slot.ok()) return slot.status();
  return slots;
}

}  // namespace

std::optional<Obstacle> ObstacleAround(const LifecycleSnapshot& snapshot) {
  switch (snapshot.owner_status) {
    case UserStatus::kSuspended:
      return Obstacle{"USER_SUSPENDED", "the owner is suspended"};
    case UserStatus::kDormant:
      return Obstacle{"USER_DORMANT", "the owner is dormant until the next login"};
    case UserStatus::kActive:
      break;
  }
  if (snapshot.dormant_at) {
    return Obstacle{"WORKSPACE_DORMANT", "the workspace is dormant; activate it to start it"};
  }
  if (!snapshot.policy.allow_user_autostart) {
    return Obstacle{"TEMPLATE_FORBIDS", "the template does not let its users autostart"};
  }
  return std::nullopt;
}

std::optional<Obstacle> BlackoutAt(const LifecycleSnapshot& snapshot, absl::Time nominal,
                                   const absl::TimeZone& zone) {
  const absl::CivilDay day = absl::ToCivilDay(nominal, zone);
  for (const BlackoutDates& dates : snapshot.blackouts) {
    if (day < dates.first || dates.last < day) continue;
    return Obstacle{"BLACKOUT", absl::StrCat("nothing starts from ", FormatDate(dates.first),
                                             " to ", FormatDate(dates.last),
                                             dates.reason.empty() ? "" : ": ", dates.reason)};
  }
  return std::nullopt;
}

std::optional<Obstacle> ObstacleAtSlot(const LifecycleSnapshot& snapshot, absl::Time nominal,
                                       const absl::TimeZone& zone) {
  if (snapshot.autostart_skip_until && nominal <= *snapshot.autostart_skip_until) {
    return Obstacle{"SKIP_REQUESTED", "the start was asked to be left out"};
  }
  return BlackoutAt(snapshot, nominal, zone);
}

AutostartFinding FindAutostart(const LifecycleSnapshot& snapshot, absl::Time tick) {
  AutostartFinding finding;
  if (snapshot.autostart_schedule.empty()) return finding;
  // What is spread is due that much later, and its catch-up window ends that much later.
  const absl::Time last = tick - snapshot.autostart_offset;
  const absl::StatusOr<Slots> slots = SlotsUntil(snapshot, last);
  if (!slots.ok()) {
    finding.schedule_error = std::string(slots.status().message());
    return finding;
  }
  // A slot exactly as old as the window is long still runs.
  const absl::Time window_begin = last - snapshot.policy.autostart_catch_up;
  const std::optional<Obstacle> around = ObstacleAround(snapshot);
  const std::optional<Obstacle> in_build = ObstacleInBuild(snapshot);
  const bool stopping =
      snapshot.transition == BuildTransition::kStop && !IsFinal(snapshot.job_status);
  for (const auto& [slot, obstacle] : slots->oldest) {
    const bool in_window = slot >= window_begin;
    if (slot <= snapshot.build_created_at) {
      finding.unused.push_back(
          {slot, false, "SUPERSEDED", "another build was asked for before the slot was noticed"});
    } else if (obstacle) {
      finding.unused.push_back({slot, false, obstacle->reason, obstacle->detail});
    } else if (around) {
      finding.unused.push_back({slot, false, around->reason, around->detail});
    } else if (in_build && !(stopping && in_window)) {
      finding.unused.push_back({slot, false, in_build->reason, in_build->detail});
    } else if (!in_window) {
      finding.unused.push_back(
          {slot, true, "OUTSIDE_CATCH_UP",
           absl::StrCat("the slot was noticed later than ",
                        absl::FormatDuration(snapshot.policy.autostart_catch_up),
                        " after it, which the template does not catch up")});
    } else if (!in_build && slot != *slots->newest) {
      finding.unused.push_back({slot, false, "SUPERSEDED", "a later slot was due as well"});
    }
  }
  if (!slots->newest) return finding;
  const bool open = *slots->newest >= window_begin && *slots->newest > snapshot.build_created_at;
  if (!around && !in_build && open) finding.due = slots->newest;
  return finding;
}

}  // namespace coder::lifecycle
