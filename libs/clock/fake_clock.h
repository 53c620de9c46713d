#pragma once

#include <condition_variable>
#include <mutex>

#include "libs/clock/clock.h"

namespace coder::clock {

/// A clock that stands still until a test moves it. Moving it wakes every Wait whose end it
/// reaches. Thread-safe.
class FakeClock final : public Clock {
 public:
  /// Wall time starts at `now`, monotonic time at zero.
  explicit FakeClock(absl::Time now = absl::FromUnixSeconds(1'700'000'000)) : now_(now) {}

  absl::Time Now() const override;
  absl::Duration MonotonicNow() const override;
  bool Wait(absl::Duration duration, std::stop_token stop) override;

  /// Moves wall and monotonic time by `duration`, which must not be negative.
  void Advance(absl::Duration duration);

  /// Steps only the wall clock, as an administrator or NTP would; waiters are not affected.
  void SetWall(absl::Time now);

  /// Blocks until at least `count` threads are inside Wait, so that a test advances the clock only
  /// after the code under test waits for it.
  void AwaitWaiters(int count) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  absl::Time now_;
  absl::Duration monotonic_ = absl::ZeroDuration();
  int waiters_ = 0;
};

}  // namespace coder::clock
