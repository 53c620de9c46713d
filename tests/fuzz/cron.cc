#include "libs/schedule/cron.h"

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/requirement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coder;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto daily = schedule::Cron::ParseDaily(text);
  const auto weekly = schedule::Cron::ParseWeekly(text);
  fuzz::Require(weekly.ok() || !daily.ok(), "a daily schedule is a weekly one");
  if (!weekly.ok()) return 0;
  const std::string normal = weekly->Normalize();
  const auto again = schedule::Cron::ParseWeekly(normal);
  fuzz::Require(again.ok() && again->Normalize() == normal, "the normal form is read as itself");
  // A year of changes to and from daylight saving, from a start that the text decides.
  absl::Time at = absl::FromUnixSeconds(1'700'000'000 + static_cast<int64_t>(size) * 1'234'567);
  for (int i = 0; i < 20; ++i) {
    const absl::Time next = weekly->Next(at);
    fuzz::Require(next > at, "the next run is later");
    fuzz::Require(next < at + absl::Hours(24 * 9), "a week has a run");
    fuzz::Require(next == again->Next(at), "the normal form runs at the same times");
    at = next + absl::Hours(24 * 17);
  }
  return 0;
}
