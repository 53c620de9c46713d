#include "libs/lifecycle/start_preview.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

namespace coder::lifecycle {
namespace {

using schedule::ClockChange;

schedule::Cron Read(const char* text) {
  const auto cron = schedule::Cron::ParseWeekly(text);
  REQUIRE(cron.ok());
  return *cron;
}

TEST_CASE("a preview tells of clocks, days and what was said against a time") {
  // A Friday; the clocks jump at 02:00 on Sunday.
  const schedule::Cron cron = Read("CRON_TZ=Europe/Berlin 30 2 * * *");
  const absl::Time after = absl::FromCivil(absl::CivilDay(2026, 3, 27), cron.zone());
  struct Row {
    const char* name;
    std::function<void(LifecycleSnapshot&)> change;
    const char* saturday;
    const char* sunday;
  };
  const Row rows[] = {
      {"no rules", [](auto&) {}, "", ""},
      {"no Sundays", [](auto& s) { s.policy.autostart_allowed_days = 0x3f; }, "", "DAY_FORBIDDEN"},
      {"no autostart at all", [](auto& s) { s.policy.allow_user_autostart = false; },
       "TEMPLATE_FORBIDS", "TEMPLATE_FORBIDS"},
      {"blackout",
       [](auto& s) {
         s.blackouts = {{absl::CivilDay(2026, 3, 29), absl::CivilDay(2026, 3, 29), "move"}};
       },
       "", "BLACKOUT"},
      {"left out up to Saturday",
       [&](auto& s) { s.autostart_skip_until = after + absl::Minutes(26 * 60 + 30); },
       "SKIP_REQUESTED", ""},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      LifecycleSnapshot rules;
      row.change(rules);
      const auto starts = PreviewStarts(cron, rules, after, 3);
      REQUIRE(starts.size() == 3);
      CHECK(starts[1].skip_reason == row.saturday);
      CHECK(starts[2].skip_reason == row.sunday);
      CHECK(starts[1].clock_change == ClockChange::kNone);
      CHECK(starts[2].clock_change == ClockChange::kSkipped);
      CHECK(absl::FormatTime("%H:%M %z", starts[2].nominal_time, cron.zone()) == "03:00 +0200");
      CHECK_FALSE(starts[2].detail.empty());
    }
  }
  CHECK(PreviewStarts(cron, {}, after, 1)[0].detail.empty());
  const absl::Time autumn = absl::FromCivil(absl::CivilDay(2026, 10, 25), cron.zone());
  const auto repeated = PreviewStarts(cron, {}, autumn, 2);
  CHECK(repeated[0].clock_change == ClockChange::kRepeated);
  CHECK(absl::FormatTime("%d %H:%M %z", repeated[0].nominal_time, cron.zone()) == "25 02:30 +0200");
  CHECK(absl::FormatTime("%d %H:%M %z", repeated[1].nominal_time, cron.zone()) == "26 02:30 +0100");
}

}  // namespace
}  // namespace coder::lifecycle
