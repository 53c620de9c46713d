#include "libs/schedule/spread.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "libs/schedule/clock_change.h"

namespace coder::schedule {
namespace {

std::string Id(int number) {
  char text[40];
  std::snprintf(text, sizeof(text), "0193a0b1-0000-7000-8000-%012x", number);
  return text;
}

TEST_CASE("a workspace has one place in a window, and another window another one") {
  CHECK(SpreadOffset(Id(1), absl::ZeroDuration()) == absl::ZeroDuration());
  CHECK(SpreadOffset(Id(1), absl::Milliseconds(999)) == absl::ZeroDuration());
  CHECK(SpreadOffset(Id(1), absl::Seconds(1)) == absl::ZeroDuration());
  // Fixed by the function itself: another version of the service must not move anybody.
  CHECK(SpreadOffset(Id(1), absl::Minutes(10)) == absl::Seconds(398));
  CHECK(SpreadOffset(Id(2), absl::Minutes(10)) == absl::Seconds(151));
}

TEST_CASE("the places of many workspaces fill the window evenly") {
  constexpr int kMinutes = 10;
  constexpr int kWorkspaces = 10'000;
  std::vector<int> per_minute(kMinutes);
  for (int i = 0; i < kWorkspaces; ++i) {
    const absl::Duration offset = SpreadOffset(Id(i), absl::Minutes(kMinutes));
    REQUIRE(offset >= absl::ZeroDuration());
    REQUIRE(offset < absl::Minutes(kMinutes));
    ++per_minute[offset / absl::Minutes(1)];
  }
  for (const int count : per_minute) {
    CHECK(count > kWorkspaces / kMinutes * 9 / 10);
    CHECK(count < kWorkspaces / kMinutes * 11 / 10);
  }
}

TEST_CASE("runs say what the clocks do to them") {
  struct Row {
    const char* name;
    const char* schedule;
    absl::CivilDay day;
    ClockChange change;
  };
  // The zone's clocks jump at 02:00 on 2026-03-29 and go back at 03:00 on 2026-10-25.
  const Row rows[] = {
      {"plain", "CRON_TZ=Europe/Berlin 30 2 * * *", absl::CivilDay(2026, 3, 28),
       ClockChange::kNone},
      {"skipped", "CRON_TZ=Europe/Berlin 30 2 * * *", absl::CivilDay(2026, 3, 29),
       ClockChange::kSkipped},
      {"at the gap's end", "CRON_TZ=Europe/Berlin 0 3 * * *", absl::CivilDay(2026, 3, 29),
       ClockChange::kNone},
      {"repeated", "CRON_TZ=Europe/Berlin 30 2 * * *", absl::CivilDay(2026, 10, 25),
       ClockChange::kRepeated},
      {"after the overlap", "CRON_TZ=Europe/Berlin 0 3 * * *", absl::CivilDay(2026, 10, 25),
       ClockChange::kNone},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto cron = Cron::ParseDaily(row.schedule);
      REQUIRE(cron.ok());
      const absl::Time midnight = absl::FromCivil(row.day, cron->zone());
      CHECK(ClockChangeAt(*cron, cron->Next(midnight)) == row.change);
    }
  }
}

}  // namespace
}  // namespace coder::schedule
