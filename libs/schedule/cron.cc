#include "libs/schedule/cron.h"

#include <bit>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/schedule/cron_fields.h"
#include "libs/status/status_macros.h"

namespace coder::schedule {
namespace {

constexpr absl::string_view kZonePrefix = "CRON_TZ=";

absl::Status WrongShape(absl::string_view kind, absl::string_view expected,
                        absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "validate ", kind, " schedule: expected ", expected, "; got \"",
      text.substr(0, kMaxScheduleBytes), "\"; write it like CRON_TZ=Europe/Berlin 30 9 * * ",
      kind == "daily" ? "*" : "1-5"));
}

// The instant at which a time on the wall runs.
absl::Time RunsAt(absl::CivilMinute wall, const absl::TimeZone& zone) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(wall));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

// The lowest value at or above `from` whose bit is set, or `none`.
int NextBit(uint64_t bits, int from, int none) {
  const uint64_t rest = from < 64 ? bits >> from << from : 0;
  return rest == 0 ? none : std::countr_zero(rest);
}

}  // namespace

absl::StatusOr<Cron> Cron::Parse(absl::string_view kind, absl::string_view text) {
  constexpr absl::string_view kShape =
      "schedule to consist of 5 fields with an optional CRON_TZ=<timezone> prefix";
  if (text.size() > kMaxScheduleBytes) return WrongShape(kind, kShape, text);
  std::vector<absl::string_view> fields =
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n\f\v"), absl::SkipEmpty());
  absl::string_view zone_name = "UTC";
  if (!fields.empty() && absl::ConsumePrefix(&fields[0], kZonePrefix)) {
    zone_name = fields[0];
    fields.erase(fields.begin());
  }
  if (fields.size() != 5) return WrongShape(kind, kShape, text);
  if (fields[2] != "*" || fields[3] != "*") {
    return WrongShape(kind, "day-of-month and month to be *", text);
  }
  Cron cron;
  ASSIGN_OR_RETURN(cron.zone_, LoadScheduleZone(zone_name));
  ASSIGN_OR_RETURN(cron.fields_.minutes, ParseCronField(kMinuteField, fields[0]));
  ASSIGN_OR_RETURN(cron.fields_.hours, ParseCronField(kHourField, fields[1]));
  ASSIGN_OR_RETURN(cron.fields_.weekdays, ParseCronField(kWeekdayField, fields[4]));
  cron.text_ =
      absl::StrCat(kZonePrefix, zone_name, " ", absl::AsciiStrToLower(absl::StrJoin(fields, " ")));
  return cron;
}

absl::StatusOr<Cron> Cron::ParseWeekly(absl::string_view text) { return Parse("weekly", text); }

absl::StatusOr<Cron> Cron::ParseDaily(absl::string_view text) {
  ASSIGN_OR_RETURN(Cron cron, Parse("daily", text));
  const Fields& fields = cron.fields_;
  if (std::popcount(fields.minutes) != 1 || std::popcount(fields.hours) != 1) {
    return WrongShape("daily", "exactly one minute and one hour", text);
  }
  if (fields.weekdays != 0x7f) return WrongShape("daily", "day-of-week to be *", text);
  return cron;
}

std::string Cron::Normalize() const { return text_; }

bool Cron::Names(absl::CivilMinute minute) const { return NextOnTheWall(minute) == minute; }

absl::CivilMinute Cron::NextOnTheWall(absl::CivilMinute from) const {
  for (;;) {
    const absl::CivilDay day(from);
    // absl counts from Monday, cron from Sunday.
    const int weekday = (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;
    int hour = 24;
    if ((fields_.weekdays >> weekday & 1) != 0) hour = NextBit(fields_.hours, from.hour(), 24);
    if (hour < 24) {
      const int first = hour == from.hour() ? from.minute() : 0;
      const int minute = NextBit(fields_.minutes, first, 60);
      if (minute < 60) return absl::CivilMinute(day.year(), day.month(), day.day(), hour, minute);
      from = absl::CivilMinute(absl::CivilHour(day.year(), day.month(), day.day(), hour) + 1);
    } else {
      from = absl::CivilMinute(day + 1);
    }
  }
}

absl::Time Cron::Next(absl::Time after) const {
  absl::CivilMinute wall(absl::ToCivilSecond(after, zone_));
  // In the second pass of an overlap the next times on the wall have run already, in the first.
  for (;; ++wall) {
    wall = NextOnTheWall(wall);
    const absl::Time run = RunsAt(wall, zone_);
    if (run > after) return run;
  }
}

std::vector<absl::Time> Cron::NextN(absl::Time after, int count) const {
  std::vector<absl::Time> runs;
  for (int i = 0; i < count; ++i) {
    after = Next(after);
    runs.push_back(after);
  }
  return runs;
}

}  // namespace coder::schedule
