#include "libs/lifecycle/planned_actions.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/autostart_retry.h"
#include "libs/lifecycle/autostart_slots.h"
#include "libs/schedule/cron.h"

namespace coder::lifecycle {
namespace {

constexpr absl::Duration kHorizon = absl::Hours(367 * 24);
// A schedule of every minute is not walked for a year.
constexpr int kMaxSlots = 20'000;

// What will stand in the way at `act_time`, as far as the newest build goes.
std::optional<Obstacle> ObstacleThen(const LifecycleSnapshot& snapshot, absl::Time act_time) {
  if (snapshot.transition == BuildTransition::kDelete) {
    return Obstacle{"BEING_DELETED", "the workspace's latest build deletes it"};
  }
  if (snapshot.job_status == JobStatus::kFailed) {
    return Obstacle{"BUILD_FAILED", absl::StrCat("the latest ", ToString(snapshot.transition),
                                                 " build failed; start the workspace yourself")};
  }
  const bool stops_before = snapshot.deadline && *snapshot.deadline < act_time;
  if (snapshot.transition == BuildTransition::kStart && !stops_before) {
    return Obstacle{"ALREADY_STARTED", "the workspace runs, and nothing stops it before"};
  }
  return std::nullopt;
}

class Plan {
 public:
  Plan(const LifecycleSnapshot& snapshot, absl::Time now) : s_(snapshot), now_(now) {}

  std::vector<PlannedAction> Make() {
    if (s_.deleted) return {};
    Autostarts();
    Retry();
    Stop();
    Cleanup();
    Dormancy();
    std::stable_sort(
        actions_.begin(), actions_.end(),
        [](const PlannedAction& a, const PlannedAction& b) { return a.act_time < b.act_time; });
    return std::move(actions_);
  }

 private:
  void Add(LifecycleKind kind, absl::Time nominal, absl::Time act, std::string detail) {
    actions_.push_back({.kind = kind,
                        .nominal_time = nominal,
                        .act_time = std::max(act, now_),
                        .detail = std::move(detail)});
  }

  void Autostarts() {
    const auto cron = schedule::Cron::ParseWeekly(s_.autostart_schedule);
    if (s_.autostart_schedule.empty() || !cron.ok()) return;
    const std::optional<absl::Time> due = FindAutostart(s_, now_).due;
    if (due) {
      Add(LifecycleKind::kAutostart, *due, now_, "due now; it starts within a minute");
      return;
    }
    absl::Time slot = now_ - s_.autostart_offset;
    int skips = 0;
    for (int walked = 0; walked < kMaxSlots; ++walked) {
      const auto next =
          schedule::NextAllowedAutostart(slot, *cron, s_.policy.autostart_allowed_days);
      if (!next.ok() || *next > now_ + kHorizon) return;
      slot = *next;
      std::optional<Obstacle> obstacle = ObstacleAtSlot(s_, slot, cron->zone());
      const bool passes = obstacle.has_value();
      if (!obstacle) obstacle = ObstacleAround(s_);
      if (!obstacle) obstacle = ObstacleThen(s_, slot + s_.autostart_offset);
      if (obstacle && skips++ >= kMaxPlannedSkips) {
        if (passes) continue;
        return;
      }
      Add(LifecycleKind::kAutostart, slot, slot + s_.autostart_offset,
          obstacle ? obstacle->detail : "the schedule fires");
      if (!obstacle) return;
      actions_.back().skip_reason = obstacle->reason;
    }
  }

  void Retry() {
    const RetryFinding retry = FindRetry(s_, now_);
    if (!retry.due && !retry.waits_until) return;
    Add(LifecycleKind::kAutostart, s_.failed_autostart->nominal_time,
        retry.waits_until.value_or(now_), "the build of the attempt before it failed");
    actions_.back().attempt = s_.failed_autostart->attempt + 1;
  }

  void Stop() {
    const bool runs = s_.transition == BuildTransition::kStart &&
                      s_.job_status == JobStatus::kSucceeded && !s_.dormant_at;
    if (!runs) return;
    if (s_.owner_status == UserStatus::kSuspended) {
      Add(LifecycleKind::kAutostop, s_.build_created_at, now_, "the owner is suspended");
      return;
    }
    if (!s_.deadline) return;
    Add(LifecycleKind::kAutostop, *s_.deadline, *s_.deadline, "the deadline");
    const auto& reminder = s_.policy.autostop_reminder;
    if (reminder && !s_.autostop_reminded && now_ < *s_.deadline) {
      Add(LifecycleKind::kAutostopReminder, *s_.deadline, *s_.deadline - *reminder,
          "an event reminds of the deadline");
    }
  }

  void Cleanup() {
    const bool failed = s_.job_status == JobStatus::kFailed && s_.job_completed_at &&
                        s_.transition != BuildTransition::kDelete;
    if (!failed || !s_.policy.failure_ttl || FindRetry(s_, now_).waits_until) return;
    const absl::Time due = *s_.job_completed_at + *s_.policy.failure_ttl;
    Add(LifecycleKind::kFailedCleanup, due, due,
        absl::StrCat("the latest ", ToString(s_.transition), " build failed"));
  }

  void Dormancy() {
    const auto& limit = s_.policy.time_til_dormant;
    if (!s_.dormant_at && limit) {
      const absl::Time due = s_.last_used_at + *limit;
      Add(LifecycleKind::kDormancy, due, due,
          absl::StrCat("unless it is used within ", absl::FormatDuration(*limit),
                       " of its latest use"));
    }
    if (s_.dormant_at && s_.deleting_at && s_.policy.time_til_dormant_autodelete) {
      Add(LifecycleKind::kAutodelete, *s_.deleting_at, *s_.deleting_at,
          "the workspace is dormant; activate it to keep it");
    }
  }

  const LifecycleSnapshot& s_;
  const absl::Time now_;
  std::vector<PlannedAction> actions_;
};

}  // namespace

std::vector<PlannedAction> PlannedActions(const LifecycleSnapshot& snapshot, absl::Time now) {
  return Plan(snapshot, now).Make();
}

}  // namespace coder::lifecycle
