#include "libs/lifecycle/planned_actions.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace coder::lifecycle {
namespace {

// A Monday, 08:00 UTC, an hour before the slot.
const absl::CivilDay kMonday(2024, 3, 4);
const absl::Time kNow =
    absl::FromCivil(absl::CivilSecond(2024, 3, 4, 8, 0, 0), absl::UTCTimeZone());

LifecycleSnapshot Stopped() {
  LifecycleSnapshot snapshot;
  snapshot.transition = BuildTransition::kStop;
  snapshot.build_created_at = kNow - absl::Hours(2);
  snapshot.job_completed_at = snapshot.build_created_at;
  snapshot.autostart_schedule = "CRON_TZ=UTC 0 9 * * *";
  snapshot.last_used_at = kNow - absl::Hours(2);
  return snapshot;
}

LifecycleSnapshot Running() {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.transition = BuildTransition::kStart;
  snapshot.autostart_schedule.clear();
  snapshot.deadline = kNow + absl::Hours(6);
  return snapshot;
}

LifecycleSnapshot Failed() {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.transition = BuildTransition::kStart;
  snapshot.job_status = JobStatus::kFailed;
  snapshot.job_completed_at = kNow;
  snapshot.failed_autostart = {kNow - absl::Hours(1), 1};
  return snapshot;
}

// "kind@minutes from now", with "#attempt" above 1 and "!reason" where it is skipped.
std::string Text(const std::vector<PlannedAction>& actions) {
  return absl::StrJoin(actions, " ", [](std::string* out, const PlannedAction& action) {
    absl::StrAppend(out, ToString(action.kind), "@", (action.act_time - kNow) / absl::Minutes(1));
    if (action.attempt > 1) absl::StrAppend(out, "#", action.attempt);
    if (!action.skip_reason.empty()) absl::StrAppend(out, "!", action.skip_reason);
  });
}

TEST_CASE("what a workspace will do next, and what it will not") {
  struct Row {
    const char* name;
    LifecycleSnapshot (*base)();
    std::function<void(LifecycleSnapshot&)> change;
    const char* planned;
  };
  constexpr auto kAsIs = [](LifecycleSnapshot&) {};
  const Row rows[] = {
      {"the next slot", Stopped, kAsIs, "autostart@60"},
      {"spread", Stopped, [](auto& s) { s.autostart_offset = absl::Minutes(7); }, "autostart@67"},
      {"due now", Stopped, [](auto& s) { s.autostart_schedule = "CRON_TZ=UTC 30 7 * * *"; },
       "autostart@0"},
      {"within its spread", Stopped,
       [](auto& s) {
         s.autostart_schedule = "CRON_TZ=UTC 55 7 * * *";
         s.autostart_offset = absl::Minutes(7);
       },
       "autostart@2"},
      {"one left out", Stopped, [](auto& s) { s.autostart_skip_until = kNow + absl::Hours(1); },
       "autostart@60!SKIP_REQUESTED autostart@1500"},
      {"a week of blackout: the first four are told, and the one that runs", Stopped,
       [](auto& s) {
         s.blackouts = {{kMonday, kMonday + 6, ""}};
       },
       "autostart@60!BLACKOUT autostart@1500!BLACKOUT autostart@2940!BLACKOUT "
       "autostart@4380!BLACKOUT autostart@10140"},
      {"suspended owner", Stopped, [](auto& s) { s.owner_status = UserStatus::kSuspended; },
       "autostart@60!USER_SUSPENDED autostart@1500!USER_SUSPENDED autostart@2940!USER_SUSPENDED "
       "autostart@4380!USER_SUSPENDED"},
      {"no schedule", Stopped, [](auto& s) { s.autostart_schedule.clear(); }, ""},
      {"unreadable schedule", Stopped, [](auto& s) { s.autostart_schedule = "soon"; }, ""},
      {"deleted", Stopped, [](auto& s) { s.deleted = true; }, ""},
      {"running", Running, kAsIs, "autostop@360"},
      {"reminder", Running, [](auto& s) { s.policy.autostop_reminder = absl::Minutes(30); },
       "autostop_reminder@330 autostop@360"},
      {"reminded", Running,
       [](auto& s) {
         s.policy.autostop_reminder = absl::Hours(7);
         s.autostop_reminded = true;
       },
       "autostop@360"},
      {"stops before its next slot", Running,
       [](auto& s) { s.autostart_schedule = "CRON_TZ=UTC 0 15 * * *"; },
       "autostop@360 autostart@420"},
      {"stops at its next slot: too late", Running,
       [](auto& s) { s.autostart_schedule = "CRON_TZ=UTC 0 14 * * 1"; },
       "autostart@360!ALREADY_STARTED autostop@360 autostart@10440"},
      {"suspended while running", Running, [](auto& s) { s.owner_status = UserStatus::kSuspended; },
       "autostop@0"},
      {"retry", Failed,
       [](auto& s) {
         s.policy.autostart_max_attempts = 2;
         s.autostart_schedule = "CRON_TZ=UTC 0 9 * * 1";
         s.autostart_set_at = kNow - absl::Hours(2);
       },
       "autostart@5#2 autostart@60!BUILD_FAILED autostart@10140!BUILD_FAILED "
       "autostart@20220!BUILD_FAILED autostart@30300!BUILD_FAILED"},
      {"cleanup", Failed,
       [](auto& s) {
         s.autostart_schedule.clear();
         s.policy.failure_ttl = absl::Minutes(90);
       },
       "failed_cleanup@90"},
      {"dormancy", Running, [](auto& s) { s.policy.time_til_dormant = absl::Hours(12); },
       "autostop@360 dormancy@600"},
      {"deletion", Stopped,
       [](auto& s) {
         s.autostart_schedule.clear();
         s.dormant_at = kNow;
         s.deleting_at = kNow + absl::Hours(1);
         s.policy.time_til_dormant_autodelete = absl::Hours(1);
       },
       "autodelete@60"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = row.base();
      row.change(snapshot);
      const auto planned = PlannedActions(snapshot, kNow);
      CHECK(Text(planned) == row.planned);
      for (const PlannedAction& action : planned) CHECK_FALSE(action.detail.empty());
    }
  }
}

}  // namespace
}  // namespace coder::lifecycle
