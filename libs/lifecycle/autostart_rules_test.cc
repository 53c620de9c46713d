#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "libs/lifecycle/blackout_dates.h"
#include "libs/lifecycle/decision.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

// A Monday, 09:00 UTC.
const absl::CivilDay kMonday(2024, 3, 4);
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
  snapshot.autostart_set_at = kSlot - absl::Hours(20);
  snapshot.last_used_at = kSlot - absl::Hours(3);
  return snapshot;
}

// The first attempt for the slot failed ten minutes after it; two more are allowed.
LifecycleSnapshot Failed() {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.transition = BuildTransition::kStart;
  snapshot.job_status = JobStatus::kFailed;
  snapshot.build_created_at = kSlot;
  snapshot.job_completed_at = kSlot + absl::Minutes(10);
  snapshot.autostart_decided_until = kSlot;
  snapshot.failed_autostart = {kSlot, 1};
  snapshot.policy.autostart_max_attempts = 3;
  snapshot.policy.autostart_retry_delay = absl::Minutes(5);
  return snapshot;
}

const absl::Time kRetry = kSlot + absl::Minutes(15);

TEST_CASE("a spread start is due at its place, and its catch-up window ends as much later") {
  struct Row {
    const char* name;
    absl::Duration after_slot;
    LifecycleAction action;
    int missed;
  };
  const Row rows[] = {
      {"at the nominal time", absl::ZeroDuration(), LifecycleAction::kNone, 0},
      {"second before its place", absl::Minutes(7) - kSecond, LifecycleAction::kNone, 0},
      {"at its place", absl::Minutes(7), LifecycleAction::kStart, 0},
      {"at the window's end", absl::Minutes(67), LifecycleAction::kStart, 0},
      {"second after the window", absl::Minutes(67) + kSecond, LifecycleAction::kNone, 1},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = Stopped();
      snapshot.autostart_offset = absl::Minutes(7);
      const Decision decision = NextTransition(snapshot, kSlot + row.after_slot);
      CHECK(decision.action == row.action);
      CHECK(decision.unused_slots.size() == static_cast<size_t>(row.missed));
      if (decision.action == LifecycleAction::kStart) CHECK(decision.nominal_time == kSlot);
    }
  }
  LifecycleSnapshot snapshot = Stopped();
  snapshot.autostart_offset = absl::Minutes(7);
  snapshot.build_created_at = kSlot + absl::Minutes(3);
  const Decision overtaken = NextTransition(snapshot, kSlot + absl::Minutes(7));
  CHECK(overtaken.action == LifecycleAction::kNone);
  REQUIRE(overtaken.unused_slots.size() == 1);
  CHECK(overtaken.unused_slots[0].reason == "SUPERSEDED");
}

TEST_CASE("a slot that was said no to beforehand is told, and the next one is not held up") {
  struct Row {
    const char* name;
    std::function<void(LifecycleSnapshot&)> change;
    const char* reason;
  };
  const Row rows[] = {
      {"skip up to the slot", [](auto& s) { s.autostart_skip_until = kSlot; }, "SKIP_REQUESTED"},
      {"skip up to before it", [](auto& s) { s.autostart_skip_until = kSlot - kSecond; }, ""},
      {"blackout of the day",
       [](auto& s) {
         s.blackouts = {{kMonday, kMonday, "fair"}};
       },
       "BLACKOUT"},
      {"blackout that ends the day before",
       [](auto& s) {
         s.blackouts = {{kMonday - 3, kMonday - 1, ""}};
       },
       ""},
      {"blackout that begins the day after",
       [](auto& s) {
         s.blackouts = {{kMonday + 1, kMonday + 9, ""}};
       },
       ""},
      {"second of two blackouts",
       [](auto& s) {
         s.blackouts = {{kMonday + 1, kMonday + 9, ""}, {kMonday - 1, kMonday, ""}};
       },
       "BLACKOUT"},
      {"a blackout goes before what the owner's state says",
       [](auto& s) {
         s.blackouts = {{kMonday, kMonday, ""}};
         s.owner_status = UserStatus::kSuspended;
       },
       "BLACKOUT"},
      {"the day is the one of the schedule's zone",
       [](auto& s) {
         // 09:00 UTC on Monday is 00:00 on Tuesday there.
         s.autostart_schedule = "CRON_TZ=Pacific/Chatham 45 22 * * *";
         s.blackouts = {{kMonday, kMonday, ""}};
       },
       "BLACKOUT"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = Stopped();
      row.change(snapshot);
      const Decision decision = NextTransition(snapshot, kSlot + kSecond);
      if (std::string(row.reason).empty()) {
        CHECK(decision.action == LifecycleAction::kStart);
        continue;
      }
      CHECK(decision.action == LifecycleAction::kNone);
      REQUIRE(decision.unused_slots.size() == 1);
      CHECK(decision.unused_slots[0].reason == row.reason);
      CHECK_FALSE(decision.unused_slots[0].missed);
    }
  }
  LifecycleSnapshot snapshot = Stopped();
  snapshot.blackouts = {{kMonday, kMonday, "fair"}};
  CHECK(NextTransition(snapshot, kSlot).unused_slots[0].detail ==
        "nothing starts from 2024-03-04 to 2024-03-04: fair");
  snapshot.blackouts.clear();
  snapshot.autostart_skip_until = kSlot;
  const Decision tomorrow = NextTransition(snapshot, kSlot + absl::Hours(24));
  CHECK(tomorrow.action == LifecycleAction::kStart);
  CHECK(tomorrow.nominal_time == kSlot + absl::Hours(24));
}

TEST_CASE("a slot before a blackout's is still caught up on its day") {
  LifecycleSnapshot snapshot = Stopped();
  snapshot.autostart_schedule = "CRON_TZ=UTC 0 0,23 * * *";
  snapshot.build_created_at = kSlot;
  snapshot.autostart_set_at = kSlot;
  snapshot.blackouts = {{kMonday + 1, kMonday + 1, ""}};
  const absl::Time evening = kSlot + absl::Hours(14);
  snapshot.policy.autostart_catch_up = absl::Hours(2);
  const Decision decision = NextTransition(snapshot, evening + absl::Hours(1));
  CHECK(decision.action == LifecycleAction::kStart);
  CHECK(decision.nominal_time == evening);
  REQUIRE(decision.unused_slots.size() == 1);
  CHECK(decision.unused_slots[0].reason == "BLACKOUT");
}

TEST_CASE("a failed autostart is attempted again, a bounded number of times") {
  struct Row {
    const char* name;
    std::function<void(LifecycleSnapshot&)> change;
    absl::Duration after_retry;
    LifecycleAction action;
    const char* unused;
  };
  using A = LifecycleAction;
  constexpr auto kAsIs = [](LifecycleSnapshot&) {};
  const Row rows[] = {
      {"second before", kAsIs, -kSecond, A::kNone, ""},
      {"at its time", kAsIs, absl::ZeroDuration(), A::kStart, ""},
      {"at the window's end", kAsIs, absl::Hours(1), A::kStart, ""},
      {"second after the window", kAsIs, absl::Hours(1) + kSecond, A::kNone, "OUTSIDE_CATCH_UP"},
      {"second attempt waits twice as long", [](auto& s) { s.failed_autostart->attempt = 2; },
       absl::Minutes(5) - kSecond, A::kNone, ""},
      {"and then runs", [](auto& s) { s.failed_autostart->attempt = 2; }, absl::Minutes(5),
       A::kStart, ""},
      {"last attempt", [](auto& s) { s.failed_autostart->attempt = 3; }, absl::Minutes(30),
       A::kNone, ""},
      {"no retries", [](auto& s) { s.policy.autostart_max_attempts = 1; }, absl::ZeroDuration(),
       A::kNone, ""},
      {"not for an autostart", [](auto& s) { s.failed_autostart.reset(); }, absl::ZeroDuration(),
       A::kNone, ""},
      {"canceled by a person", [](auto& s) { s.job_status = JobStatus::kCanceled; },
       absl::ZeroDuration(), A::kNone, ""},
      {"schedule taken away", [](auto& s) { s.autostart_schedule.clear(); }, absl::ZeroDuration(),
       A::kNone, ""},
      {"schedule changed since", [](auto& s) { s.autostart_set_at = kSlot + kSecond; },
       absl::ZeroDuration(), A::kNone, ""},
      {"suspended owner", [](auto& s) { s.owner_status = UserStatus::kSuspended; },
       absl::ZeroDuration(), A::kNone, "USER_SUSPENDED"},
      {"dormant", [](auto& s) { s.dormant_at = kSlot; }, absl::ZeroDuration(), A::kNone,
       "WORKSPACE_DORMANT"},
      {"template forbids", [](auto& s) { s.policy.allow_user_autostart = false; },
       absl::ZeroDuration(), A::kNone, "TEMPLATE_FORBIDS"},
      {"blackout declared since",
       [](auto& s) {
         s.blackouts = {{kMonday, kMonday, ""}};
       },
       absl::ZeroDuration(), A::kNone, "BLACKOUT"},
      {"later starts are to be left out",
       [](auto& s) { s.autostart_skip_until = kSlot + absl::Hours(24); }, absl::ZeroDuration(),
       A::kStart, ""},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = Failed();
      row.change(snapshot);
      const Decision decision = NextTransition(snapshot, kRetry + row.after_retry);
      CHECK(decision.action == row.action);
      if (decision.action == A::kStart) {
        CHECK(decision.nominal_time == kSlot);
        CHECK(decision.attempt == snapshot.failed_autostart->attempt + 1);
        CHECK(decision.reason == BuildReason::kAutostart);
      }
      if (std::string(row.unused).empty()) {
        CHECK(decision.unused_slots.empty());
        continue;
      }
      REQUIRE(decision.unused_slots.size() == 1);
      CHECK(decision.unused_slots[0].reason == row.unused);
      CHECK(decision.unused_slots[0].nominal_time == kSlot);
      CHECK(decision.unused_slots[0].attempt == 2);
    }
  }
}

TEST_CASE("no retry waits longer than an hour, and the cleanup of a failure waits for a retry") {
  LifecycleSnapshot snapshot = Failed();
  snapshot.policy.autostart_max_attempts = 10;
  snapshot.policy.autostart_retry_delay = absl::Minutes(40);
  snapshot.failed_autostart->attempt = 9;
  const absl::Time due = *snapshot.job_completed_at + absl::Hours(1);
  CHECK(NextTransition(snapshot, due - kSecond).action == LifecycleAction::kNone);
  CHECK(NextTransition(snapshot, due).action == LifecycleAction::kStart);

  snapshot.policy.failure_ttl = absl::Minutes(1);
  CHECK(NextTransition(snapshot, due - kSecond).action == LifecycleAction::kNone);
  CHECK(NextTransition(snapshot, due).kind == LifecycleKind::kAutostart);
  snapshot.failed_autostart->attempt = 10;
  CHECK(NextTransition(snapshot, due - kSecond).kind == LifecycleKind::kFailedCleanup);
}

TEST_CASE("a reminder comes its time before the deadline, once") {
  const auto running = [] {
    LifecycleSnapshot snapshot = Stopped();
    snapshot.transition = BuildTransition::kStart;
    snapshot.autostart_schedule.clear();
    snapshot.deadline = kSlot;
    snapshot.policy.autostop_reminder = absl::Minutes(30);
    return snapshot;
  };
  struct Row {
    const char* name;
    std::function<void(LifecycleSnapshot&)> change;
    absl::Duration before;
    LifecycleAction action;
  };
  using A = LifecycleAction;
  constexpr auto kAsIs = [](LifecycleSnapshot&) {};
  const Row rows[] = {
      {"second too early", kAsIs, absl::Minutes(30) + kSecond, A::kNone},
      {"at its time", kAsIs, absl::Minutes(30), A::kRemind},
      {"just before the deadline", kAsIs, kSecond, A::kRemind},
      {"at the deadline it is too late", kAsIs, absl::ZeroDuration(), A::kStop},
      {"told already", [](auto& s) { s.autostop_reminded = true; }, absl::Minutes(30), A::kNone},
      {"off", [](auto& s) { s.policy.autostop_reminder.reset(); }, absl::Minutes(30), A::kNone},
      {"no deadline", [](auto& s) { s.deadline.reset(); }, absl::Minutes(30), A::kNone},
      {"still starting", [](auto& s) { s.job_status = JobStatus::kRunning; }, absl::Minutes(30),
       A::kNone},
      {"stopped", [](auto& s) { s.transition = BuildTransition::kStop; }, absl::Minutes(30),
       A::kNone},
      {"dormant", [](auto& s) { s.dormant_at = kSlot; }, absl::Minutes(30), A::kNone},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot snapshot = running();
      row.change(snapshot);
      const Decision decision = NextTransition(snapshot, kSlot - row.before);
      CHECK(decision.action == row.action);
      if (decision.action != A::kRemind) continue;
      CHECK(decision.kind == LifecycleKind::kAutostopReminder);
      CHECK(decision.nominal_time == kSlot);
    }
  }
}

TEST_CASE("blackout dates are real days, in order and bounded") {
  struct Row {
    const char* name;
    const char* first;
    const char* last;
    const char* field;
  };
  const Row rows[] = {
      {"one day", "2026-12-24", "", ""},
      {"three days", "2026-12-24", "2026-12-26", ""},
      {"a year", "2026-01-01", "2027-01-01", ""},
      {"a day more", "2026-01-01", "2027-01-02", "last_date"},
      {"backwards", "2026-12-24", "2026-12-23", "last_date"},
      {"no date", "Christmas", "", "first_date"},
      {"no such day", "2026-02-30", "", "first_date"},
      {"not in full", "2026-2-3", "", "first_date"},
      {"empty", "", "", "first_date"},
      {"bad last", "2026-12-24", "26", "last_date"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto dates = CheckBlackout(row.first, row.last, "why");
      if (std::string(row.field).empty()) {
        REQUIRE(dates.ok());
        CHECK(FormatDate(dates->first) == row.first);
        CHECK(FormatDate(dates->last) == (std::string(row.last).empty() ? row.first : row.last));
        continue;
      }
      CHECK(dates.status().code() == absl::StatusCode::kInvalidArgument);
      REQUIRE(status::FieldViolationsOf(dates.status()).size() == 1);
      CHECK(status::FieldViolationsOf(dates.status())[0].field == row.field);
    }
  }
  CHECK(CheckBlackout("2026-12-24", "", std::string(256, 'x')).ok());
  CHECK_FALSE(CheckBlackout("2026-12-24", "", std::string(257, 'x')).ok());
}

}  // namespace
}  // namespace coder::lifecycle
