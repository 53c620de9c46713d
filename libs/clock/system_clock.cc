#include "libs/clock/system_clock.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/time/clock.h"

namespace coder::clock {
namespace {

// An absl::InfiniteDuration() would overflow std::chrono::nanoseconds.
constexpr absl::Duration kLongestWait = absl::Hours(24 * 365);

}  // namespace

absl::Time SystemClock::Now() const { return absl::Now(); }

absl::Duration SystemClock::MonotonicNow() const {
  return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

bool SystemClock::Wait(absl::Duration duration, std::stop_token stop) {
  if (duration <= absl::ZeroDuration()) return !stop.stop_requested();
  const auto length = absl::ToChronoNanoseconds(std::min(duration, kLongestWait));
  std::mutex mutex;
  std::condition_variable_any woken;
  std::unique_lock lock(mutex);
  woken.wait_for(lock, stop, length, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace coder::clock
