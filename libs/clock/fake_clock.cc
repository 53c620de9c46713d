#include "libs/clock/fake_clock.h"

#include <utility>

namespace coder::clock {

absl::Time FakeClock::Now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

absl::Duration FakeClock::MonotonicNow() const {
  std::lock_guard lock(mutex_);
  return monotonic_;
}

bool FakeClock::Wait(absl::Duration duration, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const absl::Duration end = monotonic_ + duration;
  ++waiters_;
  changed_.notify_all();
  changed_.wait(lock, stop, [&] { return monotonic_ >= end; });
  --waiters_;
  return !stop.stop_requested();
}

void FakeClock::Advance(absl::Duration duration) {
  std::lock_guard lock(mutex_);
  now_ += duration;
  monotonic_ += duration;
  changed_.notify_all();
}

void FakeClock::SetWall(absl::Time now) {
  std::lock_guard lock(mutex_);
  now_ = now;
}

void FakeClock::AwaitWaiters(int count) const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiters_ >= count; });
}

}  // namespace coder::clock
