// The next runs of many schedules, ours or by stepping through the minutes.
//
//   cron_rate --mode=ours|stepping --schedules=N
//
// The schedules run at a minute of an hour on some weekdays, in 400 zones, and are asked for a
// week in which no zone changes its clocks. Prints the number of runs, the seconds they took and
// the sum of their times, which both modes must agree on.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "libs/clock/system_clock.h"
#include "libs/schedule/cron.h"
#include "tests/bench/arguments.h"

namespace coder::bench {
namespace {

constexpr size_t kZones = 400;

struct Schedule {
  int minute = 0;
  int hour = 0;
  // Bit 0 is Sunday.
  unsigned weekdays = 0;
  std::string zone_name;
  absl::TimeZone zone;
};

// The first zones that the zone data name, links included.
std::vector<std::string> ZoneNames() {
  std::vector<std::string> names;
  std::ifstream data("/usr/share/zoneinfo/tzdata.zi");
  for (std::string line; names.size() < kZones && std::getline(data, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() > 1 && words[0] == "Z") names.push_back(words[1]);
    if (words.size() > 2 && words[0] == "L") names.push_back(words[2]);
  }
  return names;
}

std::vector<Schedule> MakeSchedules(int64_t count) {
  const std::vector<std::string> names = ZoneNames();
  std::vector<absl::TimeZone> zones(names.size());
  for (size_t i = 0; i < names.size(); ++i) absl::LoadTimeZone(names[i], &zones[i]);
  std::vector<Schedule> schedules;
  for (int64_t i = 0; names.size() == kZones && i < count; ++i) {
    const size_t zone = static_cast<size_t>(i) % kZones;
    schedules.push_back({.minute = static_cast<int>(i * 7 % 60),
                         .hour = static_cast<int>(i * 5 % 24),
                         .weekdays = static_cast<unsigned>(i % 127 + 1),
                         .zone_name = names[zone],
                         .zone = zones[zone]});
  }
  return schedules;
}

std::string TextOf(const Schedule& schedule) {
  std::string days;
  for (int day = 0; day < 7; ++day) {
    if (schedule.weekdays >> day & 1) absl::StrAppend(&days, days.empty() ? "" : ",", day);
  }
  return absl::StrCat("CRON_TZ=", schedule.zone_name, " ", schedule.minute, " ", schedule.hour,
                      " * * ", days);
}

absl::Time Step(const Schedule& schedule, absl::Time after) {
  for (absl::Time at = after + absl::Minutes(1);; at += absl::Minutes(1)) {
    const absl::CivilSecond wall = schedule.zone.At(at).cs;
    const int weekday = (static_cast<int>(absl::GetWeekday(wall)) + 1) % 7;
    if (wall.minute() == schedule.minute && wall.hour() == schedule.hour &&
        (schedule.weekdays >> weekday & 1)) {
      return at;
    }
  }
}

int Run(const Arguments& arguments) {
  const std::vector<Schedule> schedules = MakeSchedules(arguments.Number("schedules", 1000));
  if (schedules.empty()) {
    std::fprintf(stderr, "cron_rate: /usr/share/zoneinfo names fewer than 400 zones\n");
    return 1;
  }
  const bool is_ours = arguments.Text("mode") == "ours";
  std::vector<schedule::Cron> crons;
  for (size_t i = 0; is_ours && i < schedules.size(); ++i) {
    crons.push_back(schedule::Cron::ParseWeekly(TextOf(schedules[i])).value());
  }
  const absl::Time after =
      absl::FromCivil(absl::CivilMinute(2026, 1, 12, 9, 0), absl::UTCTimeZone());
  const clock::SystemClock clock;
  const absl::Duration began = clock.MonotonicNow();
  int64_t sum = 0;
  for (size_t i = 0; i < schedules.size(); ++i) {
    sum += absl::ToUnixSeconds(is_ours ? crons[i].Next(after) : Step(schedules[i], after));
  }
  std::printf("{\"runs\": %zu, \"seconds\": %.6f, \"sum\": %lld}\n", schedules.size(),
              absl::ToDoubleSeconds(clock.MonotonicNow() - began), static_cast<long long>(sum));
  return 0;
}

}  // namespace
}  // namespace coder::bench

int main(int argc, char** argv) { return coder::bench::Run(coder::bench::Arguments(argc, argv)); }
