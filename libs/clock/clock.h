#pragma once

#include <stop_token>

#include "absl/time/time.h"

namespace coder::clock {

/// The only source of time. Production code receives one and tests move theirs by hand.
/// Every method may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Wall time: for what people and other machines read. It may jump in either direction.
  virtual absl::Time Now() const = 0;

  /// Time since an arbitrary start of this process: for intervals and deadlines. Never goes back.
  virtual absl::Duration MonotonicNow() const = 0;

  /// Blocks for `duration` of monotonic time or until `stop` is requested, whichever is first.
  /// Returns true when the whole duration passed and false when stop was requested, also if it
  /// was requested before the call. A duration of zero or less only asks for the stop state.
  virtual bool Wait(absl::Duration duration, std::stop_token stop) = 0;

  /// Blocks until MonotonicNow() is at or after `monotonic_deadline`; otherwise as Wait.
  bool WaitUntil(absl::Duration monotonic_deadline, std::stop_token stop) {
    return Wait(monotonic_deadline - MonotonicNow(), std::move(stop));
  }
};

}  // namespace coder::clock
