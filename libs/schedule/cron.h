#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace coder::schedule {

/// Times of the week in one time zone: `CRON_TZ=<IANA zone> minute hour * * weekday`.
///
/// A field is `*` or a comma-separated list of values and ranges (`a`, `a-b`), each with an
/// optional step (`/n`; `a/n` runs from a to the field's end). Weekdays are 0 to 7 (0 and 7 are
/// Sunday) or sun to sat. Without a prefix the zone is UTC.
///
/// Daylight saving: a time that the clocks skip runs at the first instant after the gap; a time
/// that they show twice runs once, at the first. Times that fall on the same instant are one.
///
/// Immutable and cheap to copy.
class Cron {
 public:
  /// Reads a schedule whose day-of-month and month are `*`. INVALID_ARGUMENT, naming the field, the
  /// value and what would be accepted, for anything else; the zone `Local` is refused because it
  /// would mean another time on every server.
  static absl::StatusOr<Cron> ParseWeekly(absl::string_view text);

  /// Reads a schedule that runs once every day: as ParseWeekly, with exactly one minute and one
  /// hour and `*` as the weekday.
  static absl::StatusOr<Cron> ParseDaily(absl::string_view text);

  /// The schedule as text: always with its zone, single spaces and lower-case names. Parsing it
  /// gives the same schedule.
  std::string Normalize() const;

  /// The first run strictly after `after`, which must be finite; at most a few days later.
  absl::Time Next(absl::Time after) const;

  /// The first `count` runs strictly after `after`, rising.
  std::vector<absl::Time> NextN(absl::Time after, int count) const;

  /// Whether the fields name this minute on the wall, whatever the clocks do then.
  bool Names(absl::CivilMinute minute) const;

  const absl::TimeZone& zone() const { return zone_; }

  /// The fields as sets of bits: minute 0 to 59, hour 0 to 23, weekday 0 (Sunday) to 6.
  struct Fields {
    uint64_t minutes = 0;
    uint32_t hours = 0;
    uint8_t weekdays = 0;
  };

 private:
  static absl::StatusOr<Cron> Parse(absl::string_view kind, absl::string_view text);

  /// The first time on the wall at or after `from` that the fields name.
  absl::CivilMinute NextOnTheWall(absl::CivilMinute from) const;

  Fields fields_;
  absl::TimeZone zone_;
  std::string text_;
};

/// The longest schedule text that is read, in bytes.
inline constexpr size_t kMaxScheduleBytes = 256;

}  // namespace coder::schedule
