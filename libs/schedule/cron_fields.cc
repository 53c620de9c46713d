#include "libs/schedule/cron_fields.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/status/status_macros.h"

namespace coder::schedule {
namespace {

constexpr absl::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

std::string Accepted(const FieldRange& range) {
  return absl::StrCat("use *, or values from ", range.low, " to ", range.high,
                      range.weekday_names ? " or sun to sat" : "",
                      " as lists (1,2), ranges (1-5) and steps (*/2)");
}

absl::Status BadField(const FieldRange& range, absl::string_view text, absl::string_view cause) {
  return absl::InvalidArgumentError(absl::StrCat("parse schedule: ", range.name, " \"", text,
                                                 "\": ", cause, "; ", Accepted(range)));
}

std::optional<int> ParseNumber(absl::string_view text) {
  int value = 0;
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

std::optional<int> ParseValue(const FieldRange& range, absl::string_view text) {
  if (range.weekday_names) {
    for (int day = 0; day < 7; ++day) {
      if (absl::EqualsIgnoreCase(text, kWeekdays[day])) return day;
    }
  }
  const std::optional<int> value = ParseNumber(text);
  if (!value || *value < range.low || *value > range.high) return std::nullopt;
  return value;
}

// One item of a list: a value, a range or *, with an optional step.
absl::StatusOr<uint64_t> ParseItem(const FieldRange& range, absl::string_view field,
                                   absl::string_view item) {
  const std::vector<absl::string_view> parts = absl::StrSplit(item, '/');
  if (parts.size() > 2) return BadField(range, field, "more than one step");
  int step = 1;
  if (parts.size() == 2) {
    const std::optional<int> given = ParseNumber(parts[1]);
    if (!given || *given < 1 || *given > range.high) {
      return BadField(range, field, absl::StrCat("step \"", parts[1], "\" is not acceptable"));
    }
    step = *given;
  }
  // Sunday's second number must not make `*/2` mean something else.
  const int last = range.weekday_names ? 6 : range.high;
  int from = range.low;
  int to = last;
  if (parts[0] != "*") {
    const std::vector<absl::string_view> ends = absl::StrSplit(parts[0], '-');
    if (ends.size() > 2) return BadField(range, field, "more than one -");
    const std::optional<int> first = ParseValue(range, ends.front());
    const std::optional<int> second = ParseValue(range, ends.back());
    if (!first || !second) {
      return BadField(range, field, absl::StrCat("\"", parts[0], "\" is not acceptable"));
    }
    from = *first;
    to = ends.size() == 1 && parts.size() == 2 ? std::max(last, from) : *second;
    if (from > to) {
      return BadField(range, field, absl::StrCat("range \"", parts[0], "\" ends before it begins"));
    }
  }
  uint64_t bits = 0;
  for (int value = from; value <= to; value += step) bits |= uint64_t{1} << value;
  return bits;
}

bool LooksLikeAZone(absl::string_view name) {
  if (name.empty() || name.size() > 64 || absl::StartsWith(name, "/")) return false;
  if (absl::StrContains(name, "..")) return false;
  // Copies of the database under other names: the second counts leap seconds.
  if (absl::StartsWith(name, "posix/") || absl::StartsWith(name, "right/")) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '+' || c == '-' || c == '/';
  });
}

}  // namespace

absl::StatusOr<uint64_t> ParseCronField(const FieldRange& range, absl::string_view text) {
  uint64_t bits = 0;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    ASSIGN_OR_RETURN(const uint64_t more, ParseItem(range, text, item));
    bits |= more;
  }
  if (range.weekday_names && (bits & (1 << 7)) != 0) bits = (bits | 1) & 0x7f;
  return bits;
}

absl::StatusOr<absl::TimeZone> LoadScheduleZone(absl::string_view name) {
  if (absl::EqualsIgnoreCase(name, "local") || absl::EqualsIgnoreCase(name, "localtime")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parse schedule: time zone \"", name,
        "\" means another time on every server; name a zone such as CRON_TZ=Europe/Berlin"));
  }
  absl::TimeZone zone;
  if (!LooksLikeAZone(name) || !absl::LoadTimeZone(name, &zone)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parse schedule: time zone \"", name.substr(0, 64),
        "\" is not in the time zone database; use an IANA name such as CRON_TZ=Europe/Berlin"));
  }
  return zone;
}

}  // namespace coder::schedule
