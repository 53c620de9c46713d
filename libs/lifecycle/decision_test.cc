#include "libs/lifecycle/decision.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "absl/strings/match.h"

namespace coder::lifecycle {
namespace {

// A Monday, 09:00 UTC.
const absl::Time kSlot =
    absl::FromCivil(absl::CivilSecond(2024, 3, 4, 9, 0, 0), absl::UTCTimeZone());
constexpr absl::Duration kSecond = absl::Seconds(1);

// Stopped two hours before the slot of its schedule.
LifecycleSnapshot Stopped() {
  LifecycleSnapshot snapshot;
  snapshot.transition = BuildTransition::kStop;
  snapshot.build_created_at = kSlot - absl::Hours(2);
  snapshot.job_completed_at = snapshot.build_created_at + absl::Minutes(1);
  snapshot.autostart_schedule = "CRON_TZ=UTC 0 9 * * *";
  snapshot.last_used_at = kSlot - absl::Hours(3);
  return snapshot;
}

// Started two hours before its deadline, without a schedule.
LifecycleSnapshot Started() {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.transition = BuildTransition::kStart;
  snapshot.autostart_schedule.clear();
  snapshot.deadline = kSlot;
  return snapshot;
}

void SetStatus(LifecycleSnapshot& snapshot, JobStatus status) {
  snapshot.job_status = status;
  if (!IsFinal(status)) snapshot.job_completed_at.reset();
}

struct Row {
  const char* name;
  std::function<void(LifecycleSnapshot&)> change;
  absl::Duration after_slot;
  LifecycleAction action;
};

using A = LifecycleAction;

void CheckRows(const std::function<LifecycleSnapshot()>& base, LifecycleKind kind,
               BuildReason reason, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = base();
      row.change(snapshot);
      const Decision decision = NextTransition(snapshot, kSlot + row.after_slot);
      INFO(decision.explanation);
      CHECK(static_cast<int>(decision.action) == static_cast<int>(row.action));
      CHECK_FALSE(decision.explanation.empty());
      if (decision.action == A::kNone) continue;
      CHECK(decision.kind == kind);
      CHECK(decision.reason == reason);
    }
  }
}

constexpr auto kAsIs = [](LifecycleSnapshot&) {};

TEST_CASE("autostop") {
  CheckRows(
      Started, LifecycleKind::kAutostop, BuildReason::kAutostop,
      {
          {"second before the deadline", kAsIs, -kSecond, A::kNone},
          {"at the deadline", kAsIs, absl::ZeroDuration(), A::kStop},
          {"long after", kAsIs, absl::Hours(99), A::kStop},
          {"no deadline", [](auto& s) { s.deadline.reset(); }, kSecond, A::kNone},
          {"suspended owner, any time", [](auto& s) { s.owner_status = UserStatus::kSuspended; },
           -absl::Hours(1), A::kStop},
          {"dormant owner", [](auto& s) { s.owner_status = UserStatus::kDormant; }, -kSecond,
           A::kNone},
          {"dormant workspace", [](auto& s) { s.dormant_at = kSlot; }, kSecond, A::kNone},
          {"still starting", [](auto& s) { SetStatus(s, JobStatus::kRunning); }, kSecond, A::kNone},
          {"failed start", [](auto& s) { SetStatus(s, JobStatus::kFailed); }, kSecond, A::kNone},
          {"canceled start", [](auto& s) { SetStatus(s, JobStatus::kCanceled); }, kSecond,
           A::kStop},
          {"already stopped", [](auto& s) { s.transition = BuildTransition::kStop; }, kSecond,
           A::kNone},
          {"deleted", [](auto& s) { s.deleted = true; }, kSecond, A::kNone},
      });
  CHECK(NextTransition(Started(), kSlot + absl::Hours(1)).nominal_time == kSlot);
  LifecycleSnapshot suspended = Started();
  suspended.owner_status = UserStatus::kSuspended;
  CHECK(NextTransition(suspended, kSlot - kSecond).nominal_time == suspended.build_created_at);
}

TEST_CASE("autostart") {
  CheckRows(
      Stopped, LifecycleKind::kAutostart, BuildReason::kAutostart,
      {
          {"second before the slot", kAsIs, -kSecond, A::kNone},
          {"at the slot", kAsIs, absl::ZeroDuration(), A::kStart},
          {"within the window", kAsIs, absl::Minutes(30), A::kStart},
          {"at the window's end", kAsIs, absl::Hours(1), A::kStart},
          {"second after the window", kAsIs, absl::Hours(1) + kSecond, A::kNone},
          {"stopped a second before the slot",
           [](auto& s) { s.build_created_at = kSlot - kSecond; }, absl::ZeroDuration(), A::kStart},
          {"stopped at the slot", [](auto& s) { s.build_created_at = kSlot; }, kSecond, A::kNone},
          {"slot judged before", [](auto& s) { s.autostart_decided_until = kSlot; }, kSecond,
           A::kNone},
          {"no schedule", [](auto& s) { s.autostart_schedule.clear(); }, kSecond, A::kNone},
          {"day not allowed", [](auto& s) { s.policy.autostart_allowed_days = 0x7e; }, kSecond,
           A::kNone},
          {"template forbids", [](auto& s) { s.policy.allow_user_autostart = false; }, kSecond,
           A::kNone},
          {"suspended owner", [](auto& s) { s.owner_status = UserStatus::kSuspended; }, kSecond,
           A::kNone},
          {"dormant owner", [](auto& s) { s.owner_status = UserStatus::kDormant; }, kSecond,
           A::kNone},
          {"dormant workspace", [](auto& s) { s.dormant_at = kSlot; }, kSecond, A::kNone},
          {"failed stop", [](auto& s) { SetStatus(s, JobStatus::kFailed); }, kSecond, A::kNone},
          {"canceled stop", [](auto& s) { SetStatus(s, JobStatus::kCanceled); }, kSecond,
           A::kStart},
          {"still stopping", [](auto& s) { SetStatus(s, JobStatus::kRunning); }, kSecond, A::kNone},
          {"failed delete",
           [](auto& s) {
             s.transition = BuildTransition::kDelete;
             SetStatus(s, JobStatus::kFailed);
           },
           kSecond, A::kNone},
          {"started", [](auto& s) { s.transition = BuildTransition::kStart; }, kSecond, A::kNone},
      });
  CHECK(NextTransition(Stopped(), kSlot + absl::Minutes(5)).nominal_time == kSlot);
}

TEST_CASE("every slot that comes to nothing is told, with its reason") {
  struct Slot {
    const char* name;
    std::function<void(LifecycleSnapshot&)> change;
    absl::Duration after_slot;
    const char* reason;
  };
  const Slot rows[] = {
      {"suspended", [](auto& s) { s.owner_status = UserStatus::kSuspended; }, kSecond,
       "USER_SUSPENDED"},
      {"dormant owner", [](auto& s) { s.owner_status = UserStatus::kDormant; }, kSecond,
       "USER_DORMANT"},
      {"dormant", [](auto& s) { s.dormant_at = kSlot; }, kSecond, "WORKSPACE_DORMANT"},
      {"forbidden", [](auto& s) { s.policy.allow_user_autostart = false; }, kSecond,
       "TEMPLATE_FORBIDS"},
      {"failed", [](auto& s) { SetStatus(s, JobStatus::kFailed); }, kSecond, "BUILD_FAILED"},
      {"being deleted", [](auto& s) { s.transition = BuildTransition::kDelete; }, kSecond,
       "BEING_DELETED"},
      {"started", [](auto& s) { s.transition = BuildTransition::kStart; }, kSecond,
       "ALREADY_STARTED"},
      {"starting",
       [](auto& s) {
         s.transition = BuildTransition::kStart;
         SetStatus(s, JobStatus::kPending);
       },
       kSecond, "BUILD_ACTIVE"},
      {"stopping, within the window", [](auto& s) { SetStatus(s, JobStatus::kRunning); }, kSecond,
       ""},
      {"stopping, past the window", [](auto& s) { SetStatus(s, JobStatus::kRunning); },
       absl::Hours(2), "BUILD_ACTIVE"},
      {"too late", kAsIs, absl::Hours(2), "OUTSIDE_CATCH_UP"},
      {"in time", kAsIs, kSecond, ""},
  };
  for (const Slot& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = Stopped();
      row.change(snapshot);
      const Decision decision = NextTransition(snapshot, kSlot + row.after_slot);
      if (std::string(row.reason).empty()) {
        CHECK(decision.unused_slots.empty());
        continue;
      }
      REQUIRE(decision.unused_slots.size() == 1);
      CHECK(decision.unused_slots[0].nominal_time == kSlot);
      CHECK(decision.unused_slots[0].reason == row.reason);
      CHECK(decision.unused_slots[0].missed == (std::string(row.reason) == "OUTSIDE_CATCH_UP"));
      CHECK_FALSE(decision.unused_slots[0].detail.empty());
    }
  }
}

TEST_CASE("a slot that a build went before is told, and one before the schedule was set is not") {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.autostart_set_at = kSlot - absl::Hours(1);
  snapshot.build_created_at = kSlot + absl::Minutes(5);
  for (const BuildTransition transition : {BuildTransition::kStart, BuildTransition::kStop}) {
    snapshot.transition = transition;
    const Decision decision = NextTransition(snapshot, kSlot + absl::Minutes(10));
    CHECK(decision.action == A::kNone);
    REQUIRE(decision.unused_slots.size() == 1);
    CHECK(decision.unused_slots[0].nominal_time == kSlot);
    CHECK(decision.unused_slots[0].reason == "SUPERSEDED");
  }
  snapshot.autostart_decided_until = kSlot;
  CHECK(NextTransition(snapshot, kSlot + absl::Minutes(10)).unused_slots.empty());

  LifecycleSnapshot late = Stopped();
  late.autostart_set_at = kSlot + absl::Minutes(1);
  const Decision nothing = NextTransition(late, kSlot + absl::Minutes(10));
  CHECK(nothing.action == A::kNone);
  CHECK(nothing.unused_slots.empty());
  const Decision tomorrow = NextTransition(late, kSlot + absl::Hours(24));
  CHECK(tomorrow.action == A::kStart);
  CHECK(tomorrow.nominal_time == kSlot + absl::Hours(24));
  CHECK(tomorrow.unused_slots.empty());
}

TEST_CASE("after an outage a workspace starts once, and the older slots are told") {
  LifecycleSnapshot snapshot = Stopped();
  const Decision days = NextTransition(snapshot, kSlot + absl::Hours(48) + absl::Minutes(10));
  CHECK(days.action == A::kStart);
  CHECK(days.nominal_time == kSlot + absl::Hours(48));
  REQUIRE(days.unused_slots.size() == 2);
  CHECK((days.unused_slots[0].missed && days.unused_slots[1].missed));

  snapshot.autostart_schedule = "*/20 9 * * *";
  const Decision minutes = NextTransition(snapshot, kSlot + absl::Minutes(45));
  CHECK(minutes.nominal_time == kSlot + absl::Minutes(40));
  REQUIRE(minutes.unused_slots.size() == 2);
  CHECK(minutes.unused_slots[1].reason == "SUPERSEDED");

  snapshot.autostart_schedule = "* * * * *";
  const Decision many = NextTransition(snapshot, kSlot + absl::Hours(24 * 365));
  CHECK(many.action == A::kStart);
  CHECK(many.nominal_time == kSlot + absl::Hours(24 * 365));
  CHECK(many.unused_slots.size() == kMaxUnusedSlots);
}

TEST_CASE("a schedule that cannot fire is an error to see, and the other rules still hold") {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.autostart_schedule = "0 9 * *";
  snapshot.policy.time_til_dormant = absl::Hours(1);
  const Decision malformed = NextTransition(snapshot, kSlot);
  CHECK(absl::StrContains(malformed.schedule_error, "5 fields"));
  CHECK(malformed.action == A::kMarkDormant);

  snapshot = Stopped();
  snapshot.policy.autostart_allowed_days = 0;
  const Decision never = NextTransition(snapshot, kSlot);
  CHECK(absl::StrContains(never.schedule_error, "no run within 7 days"));
  CHECK(never.action == A::kNone);
  CHECK(NextTransition(Stopped(), kSlot).schedule_error.empty());
}

TEST_CASE("failed cleanup") {
  const auto failed = [] {
    LifecycleSnapshot snapshot = Started();
    SetStatus(snapshot, JobStatus::kFailed);
    snapshot.job_completed_at = kSlot - absl::Hours(1);
    snapshot.policy.failure_ttl = absl::Hours(1);
    return snapshot;
  };
  CheckRows(failed, LifecycleKind::kFailedCleanup, BuildReason::kFailedStop,
            {
                {"second before", kAsIs, -kSecond, A::kNone},
                {"at", kAsIs, absl::ZeroDuration(), A::kNone},
                {"second after", kAsIs, kSecond, A::kStop},
                {"a failed stop too", [](auto& s) { s.transition = BuildTransition::kStop; },
                 kSecond, A::kStop},
                {"not a failed delete", [](auto& s) { s.transition = BuildTransition::kDelete; },
                 kSecond, A::kNone},
                {"off", [](auto& s) { s.policy.failure_ttl.reset(); }, kSecond, A::kNone},
                {"zero is off", [](auto& s) { s.policy.failure_ttl = absl::ZeroDuration(); },
                 kSecond, A::kNone},
                {"not failed",
                 [](auto& s) {
                   s.job_status = JobStatus::kSucceeded;
                   s.deadline.reset();
                 },
                 kSecond, A::kNone},
            });
  CHECK(NextTransition(failed(), kSlot + kSecond).nominal_time == kSlot);
}

TEST_CASE("dormancy") {
  const auto unused = [] {
    LifecycleSnapshot snapshot = Started();
    snapshot.deadline.reset();
    snapshot.last_used_at = kSlot - absl::Hours(1);
    snapshot.policy.time_til_dormant = absl::Hours(1);
    return snapshot;
  };
  CheckRows(
      unused, LifecycleKind::kDormancy, BuildReason::kDormancy,
      {
          {"second before", kAsIs, -kSecond, A::kNone},
          {"at", kAsIs, absl::ZeroDuration(), A::kNone},
          {"second after", kAsIs, kSecond, A::kStop},
          {"stopped: only marked", [](auto& s) { s.transition = BuildTransition::kStop; }, kSecond,
           A::kMarkDormant},
          {"failed start", [](auto& s) { SetStatus(s, JobStatus::kFailed); }, kSecond, A::kStop},
          {"build active", [](auto& s) { SetStatus(s, JobStatus::kRunning); }, kSecond, A::kNone},
          {"already", [](auto& s) { s.dormant_at = kSlot; }, kSecond, A::kNone},
          {"off", [](auto& s) { s.policy.time_til_dormant.reset(); }, kSecond, A::kNone},
      });
}

TEST_CASE("autodelete") {
  const auto doomed = [] {
    LifecycleSnapshot snapshot = Stopped();
    snapshot.autostart_schedule.clear();
    snapshot.dormant_at = kSlot - absl::Hours(5);
    snapshot.deleting_at = kSlot;
    snapshot.policy.time_til_dormant_autodelete = absl::Hours(5);
    return snapshot;
  };
  const auto failed_delete = [](LifecycleSnapshot& s) {
    s.transition = BuildTransition::kDelete;
    SetStatus(s, JobStatus::kFailed);
    s.job_completed_at = kSlot + kSecond;
  };
  CheckRows(
      doomed, LifecycleKind::kAutodelete, BuildReason::kAutodelete,
      {
          {"second before", kAsIs, -kSecond, A::kNone},
          {"at", kAsIs, absl::ZeroDuration(), A::kNone},
          {"second after", kAsIs, kSecond, A::kDelete},
          {"not dormant", [](auto& s) { s.dormant_at.reset(); }, kSecond, A::kNone},
          {"no time set", [](auto& s) { s.deleting_at.reset(); }, kSecond, A::kNone},
          {"off", [](auto& s) { s.policy.time_til_dormant_autodelete.reset(); }, kSecond, A::kNone},
          {"build active", [](auto& s) { SetStatus(s, JobStatus::kPending); }, kSecond, A::kNone},
          {"failed delete, a day later", failed_delete, absl::Hours(24) + kSecond, A::kNone},
          {"failed delete, more than a day later", failed_delete, absl::Hours(24) + 2 * kSecond,
           A::kDelete},
      });
}

TEST_CASE("of several rules the first is taken") {
  LifecycleSnapshot snapshot = Started();
  snapshot.policy.time_til_dormant = absl::Hours(1);
  CHECK(NextTransition(snapshot, kSlot).kind == LifecycleKind::kAutostop);
  snapshot = Stopped();
  snapshot.policy.time_til_dormant = absl::Hours(1);
  CHECK(NextTransition(snapshot, kSlot).kind == LifecycleKind::kAutostart);
  snapshot = Started();
  SetStatus(snapshot, JobStatus::kFailed);
  snapshot.policy.time_til_dormant = absl::Hours(1);
  snapshot.policy.failure_ttl = absl::Hours(1);
  CHECK(NextTransition(snapshot, kSlot).kind == LifecycleKind::kFailedCleanup);
}

TEST_CASE("kinds have their words") {
  for (const char* word :
       {"autostart", "autostop", "failed_cleanup", "dormancy", "autodelete", "autostop_reminder"}) {
    REQUIRE(ParseLifecycleKind(word).ok());
    CHECK(std::string(ToString(*ParseLifecycleKind(word))) == word);
  }
  CHECK_FALSE(ParseLifecycleKind("stop").ok());
}

}  // namespace
}  // namespace coder::lifecycle
