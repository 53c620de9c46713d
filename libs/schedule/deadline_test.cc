#include <catch2/catch.hpp>
#include <string>

#include "absl/strings/match.h"
#include "libs/schedule/activity_bump.h"
#include "libs/schedule/autostop_requirement.h"
#include "libs/schedule/quiet_hours.h"
#include "libs/schedule/ttl.h"
#include "libs/status/error_reason.h"

namespace coder::schedule {
namespace {

using lifecycle::BuildTransition;
using lifecycle::JobStatus;

// A Monday, 09:00 UTC.
const absl::Time kNow =
    absl::FromCivil(absl::CivilSecond(2024, 3, 4, 9, 0, 0), absl::UTCTimeZone());
constexpr absl::Duration kSecond = absl::Seconds(1);

Cron Weekly(const std::string& text) {
  const auto cron = Cron::ParseWeekly(text);
  REQUIRE(cron.ok());
  return *cron;
}

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

TEST_CASE("a ttl is one minute to 30 days, in whole minutes") {
  CHECK(*CheckTtl(absl::Minutes(1)) == absl::Minutes(1));
  CHECK(*CheckTtl(absl::Hours(720)) == absl::Hours(720));
  CHECK(*CheckTtl(absl::Seconds(119)) == absl::Minutes(1));
  for (absl::Duration ttl :
       {absl::Minutes(1) - absl::Nanoseconds(1), absl::ZeroDuration(), -absl::Hours(1),
        absl::Hours(720) + absl::Nanoseconds(1), absl::InfiniteDuration()}) {
    const absl::Status status = CheckTtl(ttl).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    REQUIRE(status::FieldViolationsOf(status).size() == 1);
    CHECK(status::FieldViolationsOf(status)[0].field == "ttl");
  }
  CHECK(absl::StrContains(CheckTtl(absl::Seconds(1)).status().message(),
                          "1s: time until shutdown must be at least one minute"));
}

TEST_CASE("the template decides whose ttl holds") {
  CHECK(EffectiveTtl(absl::Hours(1), absl::Hours(8), true) == absl::Hours(1));
  CHECK(EffectiveTtl(absl::Hours(1), absl::Hours(8), false) == absl::Hours(8));
  CHECK_FALSE(EffectiveTtl(std::nullopt, absl::Hours(8), true));
  CHECK_FALSE(EffectiveTtl(absl::Hours(1), std::nullopt, false));
}

TEST_CASE("the deadline after a start") {
  StartedWorkspace started{.completed_at = kNow};
  CHECK_FALSE(DeadlineAfterStart(started));
  started.ttl = absl::Hours(8);
  CHECK(DeadlineAfterStart(started) == kNow + absl::Hours(8));

  // Slot at 17:00, eight hours later: at it and past it count, a second before does not.
  started.autostart = Weekly("0 17 * * *");
  const absl::Time slot = kNow + absl::Hours(8);
  started.ttl = absl::Hours(8) - kSecond;
  CHECK(DeadlineAfterStart(started) == slot - kSecond);
  started.ttl = absl::Hours(8);
  CHECK(DeadlineAfterStart(started) == slot + absl::Hours(8));
  started.ttl = absl::Hours(9);
  CHECK(DeadlineAfterStart(started) == slot + absl::Hours(9));
  started.autostart_allowed_days = 1 << 1;
  CHECK(DeadlineAfterStart(started) == kNow + absl::Hours(9));
  started.autostart_allowed_days = 0;
  CHECK(DeadlineAfterStart(started) == kNow + absl::Hours(9));

  started.max_deadline = kNow + absl::Hours(3);
  CHECK(DeadlineAfterStart(started) == kNow + absl::Hours(3));
  started.ttl.reset();
  CHECK(DeadlineAfterStart(started) == kNow + absl::Hours(3));
}

TEST_CASE("which extensions of a deadline are accepted") {
  struct Row {
    const char* name;
    absl::Duration ahead;
    BuildTransition transition;
    JobStatus status;
    bool has_deadline;
    absl::StatusCode code;
    const char* says;
  };
  constexpr auto kOk = absl::StatusCode::kOk;
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  constexpr auto kNo = absl::StatusCode::kFailedPrecondition;
  const Row rows[] = {
      {"half an hour", absl::Minutes(30), BuildTransition::kStart, JobStatus::kSucceeded, true, kOk,
       ""},
      {"with the minute granted", absl::Minutes(29), BuildTransition::kStart, JobStatus::kSucceeded,
       true, kOk, ""},
      {"a second less", absl::Minutes(29) - kSecond, BuildTransition::kStart, JobStatus::kSucceeded,
       true, kBad, "at least 30 minutes in the future"},
      {"at the maximum", absl::Hours(5), BuildTransition::kStart, JobStatus::kSucceeded, true, kOk,
       ""},
      {"past the maximum", absl::Hours(5) + kSecond, BuildTransition::kStart, JobStatus::kSucceeded,
       true, kBad, "beyond max deadline"},
      {"no deadline", absl::Hours(1), BuildTransition::kStart, JobStatus::kSucceeded, false, kNo,
       "shutdown is manual"},
      {"starting", absl::Hours(1), BuildTransition::kStart, JobStatus::kRunning, true, kNo,
       "still building"},
      {"stopped", absl::Hours(1), BuildTransition::kStop, JobStatus::kSucceeded, true, kNo,
       "must be started, current status: stopped"},
      {"failed", absl::Hours(1), BuildTransition::kStart, JobStatus::kFailed, true, kNo,
       "must be started, current status: failed"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      Extension extension{.requested = kNow + row.ahead,
                          .now = kNow,
                          .transition = row.transition,
                          .job_status = row.status,
                          .max_deadline = kNow + absl::Hours(5)};
      if (row.has_deadline) extension.deadline = kNow + absl::Minutes(5);
      const absl::Status status = CheckExtension(extension);
      CHECK(status.code() == row.code);
      CHECK(absl::StrContains(status.message(), row.says));
      if (row.code == kNo) {
        CHECK(status::ReasonOf(status)->reason ==
              (row.has_deadline ? "NOT_RUNNING" : "NO_DEADLINE"));
      }
      if (row.code == kBad) CHECK(status::FieldViolationsOf(status)[0].field == "deadline");
    }
  }
}

TEST_CASE("use moves the deadline") {
  const Activity base{.now = kNow, .deadline = kNow + absl::Minutes(30)};
  CHECK(DeadlineAfterActivity(base) == kNow + absl::Hours(1));

  Activity a = base;
  SECTION("not before more than 5 % of the interval has passed") {
    a.deadline = kNow + absl::Minutes(57);
    CHECK_FALSE(DeadlineAfterActivity(a));
    a.deadline = kNow + absl::Minutes(57) - kSecond;
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Hours(1));
  }
  SECTION("never back") {
    a.deadline = kNow + absl::Hours(5);
    CHECK_FALSE(DeadlineAfterActivity(a));
  }
  SECTION("never past the maximum") {
    a.max_deadline = kNow + absl::Minutes(45);
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Minutes(45));
    a.max_deadline = a.deadline;
    CHECK_FALSE(DeadlineAfterActivity(a));
  }
  SECTION("over the next autostart, by the ttl after it") {
    a.ttl = absl::Hours(8);
    a.next_autostart = kNow + absl::Hours(1) + kSecond;
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Hours(1));
    a.next_autostart = kNow + absl::Hours(1);
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Hours(9));
    a.next_autostart = kNow + absl::Minutes(10);
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Minutes(10) + absl::Hours(8));
    a.ttl = absl::Minutes(1);
    CHECK(DeadlineAfterActivity(a) == kNow + absl::Hours(1));
  }
  SECTION("only of a running workspace with a deadline, where the template wants it") {
    a.bump = absl::ZeroDuration();
    CHECK_FALSE(DeadlineAfterActivity(a));
    a = base;
    a.deadline.reset();
    CHECK_FALSE(DeadlineAfterActivity(a));
    a = base;
    a.job_status = JobStatus::kRunning;
    CHECK_FALSE(DeadlineAfterActivity(a));
    a = base;
    a.transition = BuildTransition::kStop;
    CHECK_FALSE(DeadlineAfterActivity(a));
  }
}

TEST_CASE("the maximum deadline falls into the quiet hours of a demanded day") {
  const auto quiet = Cron::ParseDaily("CRON_TZ=UTC 0 22 * * *");
  REQUIRE(quiet.ok());
  constexpr DaysOfWeek kMonday = 1, kSaturday = 1 << 5;
  const auto at = [&](const AutostopRequirement& requirement, absl::Time completed) {
    const auto stop = MaxDeadline(requirement, *quiet, completed);
    return stop ? Utc(*stop) : "none";
  };
  CHECK(at({.days = 0}, kNow) == "none");
  CHECK(at({.days = kMonday}, kNow) == "2024-03-04T22:00:00Z");
  CHECK(at({.days = kSaturday}, kNow) == "2024-03-09T22:00:00Z");
  // Two hours of leeway: at it the same night, past it the next one.
  CHECK(at({.days = kEveryDay}, kNow + absl::Hours(11)) == "2024-03-04T22:00:00Z");
  CHECK(at({.days = kEveryDay}, kNow + absl::Hours(11) + kSecond) == "2024-03-05T22:00:00Z");
  CHECK(at({.days = kMonday}, kNow + absl::Hours(11) + kSecond) == "2024-03-11T22:00:00Z");
  // 2024-03-04 begins week 61 since 2023-01-02, and 61 is odd.
  CHECK(at({.days = kMonday, .weeks = 2}, kNow) == "2024-03-11T22:00:00Z");
  CHECK(at({.days = kSaturday, .weeks = 2}, kNow) == "2024-03-16T22:00:00Z");
  CHECK(at({.days = kMonday, .weeks = 16}, kNow) == "2024-03-25T22:00:00Z");

  // The owner's midnight, not UTC's: Sunday 20:00 in UTC is Monday in Auckland.
  const auto auckland = Cron::ParseDaily("CRON_TZ=Pacific/Auckland 0 12 * * *");
  const absl::Time sunday = kNow - absl::Hours(15);
  CHECK(Utc(*MaxDeadline({.days = kMonday}, *auckland, sunday)) == "2024-03-03T23:00:00Z");
}

TEST_CASE("a user's quiet hours hold where the deployment lets users choose") {
  const QuietHoursTerms free{.default_schedule = "CRON_TZ=UTC 0 2 * * *"};
  const QuietHoursTerms fixed{.default_schedule = "CRON_TZ=UTC 0 2 * * *", .users_choose = false};
  const std::string own = "CRON_TZ=Europe/Berlin 0 3 * * *";
  CHECK(QuietHoursOf(own, free).Normalize() == own);
  CHECK(QuietHoursOf(own, fixed).Normalize() == fixed.default_schedule);
  CHECK(QuietHoursOf(std::nullopt, free).Normalize() == free.default_schedule);
  CHECK(QuietHoursOf("no schedule", free).Normalize() == free.default_schedule);
}

}  // namespace
}  // namespace coder::schedule
