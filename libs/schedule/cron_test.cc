#include "libs/schedule/cron.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/schedule/autostart.h"

namespace coder::schedule {
namespace {

absl::Time At(const std::string& rfc3339) {
  absl::Time time;
  std::string error;
  INFO(rfc3339);
  REQUIRE(absl::ParseTime(absl::RFC3339_full, rfc3339, &time, &error));
  return time;
}

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

Cron Weekly(const std::string& text) {
  const auto cron = Cron::ParseWeekly(text);
  INFO(text << ": " << cron.status().ToString());
  REQUIRE(cron.ok());
  return *cron;
}

TEST_CASE("the next run is strictly after the given time") {
  struct Row {
    const char* name;
    const char* schedule;
    const char* after;
    const char* next;
  };
  const Row rows[] = {
      {"second before", "30 9 * * *", "2024-03-05T09:29:59Z", "2024-03-05T09:30:00Z"},
      {"at", "30 9 * * *", "2024-03-05T09:30:00Z", "2024-03-06T09:30:00Z"},
      {"second after", "30 9 * * *", "2024-03-05T09:30:01Z", "2024-03-06T09:30:00Z"},
      {"part of a second before", "30 9 * * *", "2024-03-05T09:29:59.9Z", "2024-03-05T09:30:00Z"},
      {"over a weekend", "CRON_TZ=UTC 0 9 * * mon-fri", "2024-03-08T09:00:00Z",
       "2024-03-11T09:00:00Z"},
      {"Sunday as 7", "0 9 * * 7", "2024-03-08T09:00:00Z", "2024-03-10T09:00:00Z"},
      {"Sunday as 0", "0 9 * * 0", "2024-03-08T09:00:00Z", "2024-03-10T09:00:00Z"},
      {"friday to sunday", "0 9 * * 5-7", "2024-03-09T09:00:00Z", "2024-03-10T09:00:00Z"},
      {"list and step", "5,*/20 8-10/2 * * *", "2024-03-08T08:20:00Z", "2024-03-08T08:40:00Z"},
      {"next hour of a step", "5,*/20 8-10/2 * * *", "2024-03-08T08:40:00Z",
       "2024-03-08T10:00:00Z"},
      {"value with a step runs to the end", "50/4 0 * * *", "2024-03-08T00:54:00Z",
       "2024-03-08T00:58:00Z"},
      {"every other weekday begins on Sunday", "0 0 * * */2", "2024-03-09T00:00:00Z",
       "2024-03-10T00:00:00Z"},
      {"into a leap day", "0 9 * * *", "2024-02-28T09:00:00Z", "2024-02-29T09:00:00Z"},
      {"out of a leap day", "0 9 * * *", "2024-02-29T09:00:00Z", "2024-03-01T09:00:00Z"},
      {"no leap day", "0 9 * * *", "2023-02-28T09:00:00Z", "2023-03-01T09:00:00Z"},
      {"no leap day in 2100", "0 9 * * *", "2100-02-28T09:00:00Z", "2100-03-01T09:00:00Z"},
      {"leap day in 2000", "0 9 * * *", "2000-02-28T09:00:00Z", "2000-02-29T09:00:00Z"},
      {"year's end", "59 23 * * *", "2023-12-31T23:59:00Z", "2024-01-01T23:59:00Z"},
      {"zone", "CRON_TZ=US/Central 30 9 * * 1-5", "2024-01-05T15:30:00Z", "2024-01-08T15:30:00Z"},
      // New York skips 02:00 to 03:00 on 2024-03-10 and shows 01:00 to 02:00 twice on 2024-11-03.
      {"gap, before", "CRON_TZ=America/New_York 30 2 * * *", "2024-03-09T07:30:00Z",
       "2024-03-10T07:00:00Z"},
      {"gap, second before its end", "CRON_TZ=America/New_York 30 2 * * *", "2024-03-10T06:59:59Z",
       "2024-03-10T07:00:00Z"},
      {"gap, at its end", "CRON_TZ=America/New_York 30 2 * * *", "2024-03-10T07:00:00Z",
       "2024-03-11T06:30:00Z"},
      {"gap, its first minute", "CRON_TZ=America/New_York 0 2 * * *", "2024-03-10T06:00:00Z",
       "2024-03-10T07:00:00Z"},
      {"gap, all its times are one", "CRON_TZ=America/New_York */20 2-3 * * *",
       "2024-03-10T07:00:00Z", "2024-03-10T07:20:00Z"},
      {"overlap, first pass", "CRON_TZ=America/New_York 30 1 * * *", "2024-11-03T05:29:59Z",
       "2024-11-03T05:30:00Z"},
      {"overlap, not again", "CRON_TZ=America/New_York 30 1 * * *", "2024-11-03T05:30:00Z",
       "2024-11-04T06:30:00Z"},
      {"overlap, from its second pass", "CRON_TZ=America/New_York 30 1 * * *",
       "2024-11-03T06:15:00Z", "2024-11-04T06:30:00Z"},
      {"overlap, quiet second pass", "CRON_TZ=America/New_York */30 * * * *",
       "2024-11-03T05:30:00Z", "2024-11-03T07:00:00Z"},
      {"Berlin gap", "CRON_TZ=Europe/Berlin 30 2 * * *", "2024-03-30T12:00:00Z",
       "2024-03-31T01:00:00Z"},
      {"Berlin overlap", "CRON_TZ=Europe/Berlin 30 2 * * *", "2024-10-26T12:00:00Z",
       "2024-10-27T00:30:00Z"},
      {"Berlin overlap once", "CRON_TZ=Europe/Berlin 30 2 * * *", "2024-10-27T00:30:00Z",
       "2024-10-28T01:30:00Z"},
      // Lord Howe skips 02:00 to 02:30 on 2024-10-06 and repeats 01:30 to 02:00 on 2024-04-07.
      {"Lord Howe gap", "CRON_TZ=Australia/Lord_Howe 15 2 * * *", "2024-10-05T12:00:00Z",
       "2024-10-05T15:30:00Z"},
      {"Lord Howe after the gap", "CRON_TZ=Australia/Lord_Howe 30 2 * * *", "2024-10-05T12:00:00Z",
       "2024-10-05T15:30:00Z"},
      {"Lord Howe overlap", "CRON_TZ=Australia/Lord_Howe 45 1 * * *", "2024-04-06T12:00:00Z",
       "2024-04-06T14:45:00Z"},
      {"Lord Howe overlap once", "CRON_TZ=Australia/Lord_Howe 45 1 * * *", "2024-04-06T14:45:00Z",
       "2024-04-07T15:15:00Z"},
      // Apia had no 2011-12-30, a Friday.
      {"Apia skipped day", "CRON_TZ=Pacific/Apia 0 9 * * fri", "2011-12-29T12:00:00Z",
       "2011-12-30T10:00:00Z"},
      {"Apia after the skipped day", "CRON_TZ=Pacific/Apia 0 9 * * fri", "2011-12-30T10:00:00Z",
       "2012-01-05T19:00:00Z"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) { CHECK(Utc(Weekly(row.schedule).Next(At(row.after))) == row.next); }
  }
}

TEST_CASE("NextN walks the runs") {
  const std::vector<absl::Time> runs =
      Weekly("CRON_TZ=Europe/Berlin 30 2 * * *").NextN(At("2024-03-29T12:00:00Z"), 3);
  REQUIRE(runs.size() == 3);
  CHECK(Utc(runs[0]) == "2024-03-30T01:30:00Z");
  CHECK(Utc(runs[1]) == "2024-03-31T01:00:00Z");
  CHECK(Utc(runs[2]) == "2024-04-01T00:30:00Z");
  CHECK(Weekly("0 9 * * *").NextN(absl::UnixEpoch(), 0).empty());
}

TEST_CASE("the normal form names its zone and parses to itself") {
  struct Row {
    const char* given;
    const char* normal;
  };
  for (const Row& row : {Row{"30 9 * * 1-5", "CRON_TZ=UTC 30 9 * * 1-5"},
                         Row{"  CRON_TZ=Europe/Berlin\t30  9 * *  MON-Fri ",
                             "CRON_TZ=Europe/Berlin 30 9 * * mon-fri"}}) {
    CHECK(Weekly(row.given).Normalize() == row.normal);
    CHECK(Weekly(row.normal).Normalize() == row.normal);
  }
}

TEST_CASE("a malformed schedule is refused, naming field, value and remedy") {
  struct Row {
    const char* schedule;
    const char* says;
  };
  const Row rows[] = {
      {"",
       "validate weekly schedule: expected schedule to consist of 5 fields with an optional "
       "CRON_TZ=<timezone> prefix"},
      {"CRON_TZ=UTC", "expected schedule to consist of 5 fields"},
      {"0 9 * *", "expected schedule to consist of 5 fields"},
      {"0 9 * * * *", "expected schedule to consist of 5 fields"},
      {"@daily", "expected schedule to consist of 5 fields"},
      {"0 9 1 * *", "validate weekly schedule: expected day-of-month and month to be *"},
      {"0 9 * 1 *", "expected day-of-month and month to be *"},
      {"60 9 * * *",
       "parse schedule: minute \"60\": \"60\" is not acceptable; use *, or values "
       "from 0 to 59"},
      {"0 24 * * *", "parse schedule: hour \"24\""},
      {"0 9 * * 8", "parse schedule: day-of-week \"8\""},
      {"0 9 * * someday", "or sun to sat"},
      {"mon 9 * * *", "minute \"mon\""},
      {"0 9 * * fri-mon", "range \"fri-mon\" ends before it begins"},
      {"-1 9 * * *", "minute"},
      {"+1 9 * * *", "minute"},
      {"1, 9 * * *", "minute \"1,\""},
      {"*/0 9 * * *", "step \"0\""},
      {"*/60 9 * * *", "step \"60\""},
      {"*/ 9 * * *", "step \"\""},
      {"1/2/3 9 * * *", "more than one step"},
      {"1-2-3 9 * * *", "more than one -"},
      {"99999999999999999999 9 * * *", "minute"},
      {"CRON_TZ=Local 0 9 * * *", "means another time on every server"},
      {"CRON_TZ=localtime 0 9 * * *", "means another time on every server"},
      {"CRON_TZ=Mars/Olympus 0 9 * * *", "time zone \"Mars/Olympus\" is not in the time zone"},
      {"CRON_TZ= 0 9 * * *", "time zone \"\""},
      {"CRON_TZ=/etc/localtime 0 9 * * *", "is not in the time zone database"},
      {"CRON_TZ=../../../etc/localtime 0 9 * * *", "is not in the time zone database"},
      {"CRON_TZ=right/UTC 0 9 * * *", "is not in the time zone database"},
      {"CRON_TZ=libc:UTC 0 9 * * *", "is not in the time zone database"},
      {"CRON_TZ=America 0 9 * * *", "is not in the time zone database"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.schedule) {
      const absl::Status status = Cron::ParseWeekly(row.schedule).status();
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      INFO(status.ToString());
      CHECK(absl::StrContains(status.message(), row.says));
    }
  }
  CHECK_FALSE(Cron::ParseWeekly(std::string(kMaxScheduleBytes + 1, ' ') + "0 9 * * *").ok());
}

TEST_CASE("a daily schedule has one minute, one hour and every day") {
  CHECK(Cron::ParseDaily("CRON_TZ=UTC 0 0 * * *").ok());
  CHECK(Cron::ParseDaily("0 0 * * 0-6").ok());
  for (const char* text : {"0,1 0 * * *", "0 0-1 * * *", "* 0 * * *", "0 0 * * 1", "0 0 1 * *"}) {
    CAPTURE(text);
    const absl::Status status = Cron::ParseDaily(text).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(absl::StrContains(status.message(), "validate daily schedule: "));
  }
}

// Walks real minutes and remembers the latest time the wall has shown: whatever the wall shows for
// the first time has come, whatever it jumped over has come too, whatever it shows again has not.
std::vector<absl::Time> RunsByWalking(const Cron& cron, const std::vector<bool>& named,
                                      absl::Time from, int minutes) {
  const auto wall_at = [&](absl::Time time) {
    return absl::CivilMinute(absl::ToCivilSecond(time, cron.zone()));
  };
  const auto is_named = [&](absl::CivilMinute wall) {
    const int day = static_cast<int>(absl::GetWeekday(absl::CivilDay(wall)));
    return named[(day * 24 + wall.hour()) * 60 + wall.minute()];
  };
  std::vector<absl::Time> runs;
  // The longest overlap in the database is a day.
  absl::Time time = from - absl::Hours(26);
  absl::CivilMinute shown = wall_at(time);
  while (time < from + absl::Minutes(minutes)) {
    time += absl::Minutes(1);
    bool runs_now = false;
    for (const absl::CivilMinute wall = wall_at(time); shown < wall;) {
      runs_now = is_named(++shown) || runs_now;
    }
    if (runs_now && time > from) runs.push_back(time);
  }
  return runs;
}

TEST_CASE("Next agrees with walking every minute, over random schedules and zones") {
  const char* zones[] = {
      "UTC",          "America/New_York",  "Europe/Berlin", "Australia/Lord_Howe",
      "Pacific/Apia", "Africa/Casablanca", "Asia/Kolkata",  "America/St_Johns",
      "Asia/Tehran",  "Antarctica/Troll",  "Africa/Cairo",  "America/Sao_Paulo"};
  std::mt19937 random(20240310);
  const auto below = [&](int limit) { return static_cast<int>(random() % limit); };
  for (int round = 0; round < 400; ++round) {
    std::vector<bool> minutes(60), hours(24), days(7);
    std::string text[3];
    const auto draw = [&](std::vector<bool>& set, std::string& field) {
      for (int i = 0; i <= below(4); ++i) {
        const int value = below(static_cast<int>(set.size()));
        set[value] = true;
        absl::StrAppend(&field, field.empty() ? "" : ",", value);
      }
      if (below(4) == 0) {
        field = "*";
        set.assign(set.size(), true);
      }
    };
    draw(minutes, text[0]);
    draw(hours, text[1]);
    draw(days, text[2]);
    std::vector<bool> named(7 * 24 * 60);
    for (int i = 0; i < static_cast<int>(named.size()); ++i) {
      const int sunday_first = (i / 1440 + 1) % 7;
      named[i] = days[sunday_first] && hours[i / 60 % 24] && minutes[i % 60];
    }
    const char* zone = zones[below(std::size(zones))];
    const std::string schedule =
        absl::StrCat("CRON_TZ=", zone, " ", text[0], " ", text[1], " * * ", text[2]);
    const Cron cron = Weekly(schedule);
    absl::Time from = At("2011-01-01T00:00:00Z") + absl::Minutes(below(15 * 365 * 1440));
    // Half of the rounds look at the days around a change of the clocks.
    absl::TimeZone::CivilTransition change;
    if (round % 2 == 0 && cron.zone().NextTransition(from, &change)) {
      from = absl::FromCivil(change.from, cron.zone()) - absl::Minutes(below(2 * 1440));
      from = absl::FromUnixSeconds(absl::ToUnixSeconds(from) / 60 * 60);
    }
    const std::vector<absl::Time> walked = RunsByWalking(cron, named, from, 4 * 1440);
    INFO(schedule << " after " << Utc(from));
    REQUIRE(cron.NextN(from, static_cast<int>(walked.size())) == walked);
  }
}

TEST_CASE("autostart takes the first run on an allowed day of the schedule's zone") {
  const Cron cron = Weekly("CRON_TZ=America/New_York 0 22 * * *");
  // Friday 22:00 in New York is Saturday in UTC: the zone's own day counts.
  constexpr DaysOfWeek kFriday = 1 << 4;
  const auto friday = NextAllowedAutostart(At("2024-01-01T00:00:00Z"), cron, kFriday);
  REQUIRE(friday.ok());
  CHECK(Utc(*friday) == "2024-01-06T03:00:00Z");
  const auto next = NextAllowedAutostart(*friday - absl::Seconds(1), cron, kFriday);
  CHECK(*next == *friday);
  // Exactly seven days ahead still counts; an instant more does not.
  CHECK(*NextAllowedAutostart(*friday, cron, kFriday) == *friday + absl::Hours(7 * 24));
  const auto every = NextAllowedAutostart(At("2024-01-01T00:00:00Z"), cron, kEveryDay);
  CHECK(Utc(*every) == "2024-01-01T03:00:00Z");
}

TEST_CASE("autostart without an allowed day within a week is refused") {
  const absl::Time at = At("2024-01-01T00:00:00Z");
  const absl::Status none = NextAllowedAutostart(at, Weekly("* * * * *"), 0).status();
  CHECK(none.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(absl::StrContains(none.message(), "CRON_TZ=UTC * * * * *"));
  constexpr DaysOfWeek kSunday = 1 << 6;
  CHECK_FALSE(NextAllowedAutostart(at, Weekly("0 9 * * 1-6"), kSunday).ok());
  CHECK(NextAllowedAutostart(at, Weekly("0 9 * * sun"), kSunday).ok());
}

}  // namespace
}  // namespace coder::schedule
