#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::schedule {

/// The place of a field in a schedule and what it accepts.
struct FieldRange {
  absl::string_view name;
  int low;
  int high;
  /// Whether sun to sat are accepted as names of 0 to 6.
  bool weekday_names = false;
};

inline constexpr FieldRange kMinuteField = {"minute", 0, 59};
inline constexpr FieldRange kHourField = {"hour", 0, 23};
inline constexpr FieldRange kWeekdayField = {"day-of-week", 0, 7, true};

/// Reads one field as a set of bits, bit n for value n. INVALID_ARGUMENT, naming the field, the
/// value and what is accepted.
absl::StatusOr<uint64_t> ParseCronField(const FieldRange& range, absl::string_view text);

/// Loads a zone by its IANA name. INVALID_ARGUMENT when the name is not one, means the server's own
/// zone, or is not in the time zone database.
absl::StatusOr<absl::TimeZone> LoadScheduleZone(absl::string_view name);

}  // namespace coder::schedule
