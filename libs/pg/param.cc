#include "libs/pg/param.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"

namespace coder::pg {
namespace {

std::string DoubleText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  char text[32];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

std::string TimeText(absl::Time value) {
  if (value == absl::InfiniteFuture()) return "infinity";
  if (value == absl::InfinitePast()) return "-infinity";
  return absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", value, absl::UTCTimeZone());
}

// Hours, minutes and seconds only: an interval's days and months are not fixed lengths.
std::string IntervalText(absl::Duration value) {
  const bool negative = value < absl::ZeroDuration();
  const int64_t micros = std::abs(absl::ToInt64Microseconds(value));
  const int64_t seconds = micros / 1'000'000;
  char text[40];
  std::snprintf(text, sizeof(text), "%s%ld:%02ld:%02ld.%06ld", negative ? "-" : "", seconds / 3600,
                seconds / 60 % 60, seconds % 60, micros % 1'000'000);
  return text;
}

}  // namespace

Param::Param(double value) : text_(DoubleText(value)) {}
Param::Param(absl::Time value) : text_(TimeText(value)) {}
Param::Param(absl::Duration value) : text_(IntervalText(value)) {}

const std::string& Param::bytes() const {
  static const std::string* const kNone = new std::string();
  return text_ ? *text_ : *kNone;
}

bool Param::valid() const { return binary_ || bytes().find('\0') == std::string::npos; }

void Param::AppendElement(const Param& element) {
  if (text_->size() > 1) text_->push_back(',');
  if (element.is_null()) {
    text_->append("NULL");
    return;
  }
  text_->push_back('"');
  if (element.binary()) {
    absl::StrAppend(&*text_, "\\\\x", absl::BytesToHexString(element.bytes()));
  } else {
    for (const char c : element.bytes()) {
      if (c == '"' || c == '\\') text_->push_back('\\');
      text_->push_back(c);
    }
  }
  text_->push_back('"');
}

}  // namespace coder::pg
