#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "libs/clock/fake_clock.h"
#include "libs/clock/system_clock.h"

namespace coder::clock {
namespace {

TEST_CASE("a fake clock wakes a waiter exactly at the end of its wait") {
  FakeClock clock;
  const absl::Time start = clock.Now();
  std::atomic<bool> passed = false;
  std::jthread waiter([&](std::stop_token stop) { passed = clock.Wait(absl::Seconds(10), stop); });
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  CHECK_FALSE(passed);
  clock.Advance(absl::Nanoseconds(1));
  waiter.join();
  CHECK(passed);
  CHECK(clock.Now() == start + absl::Seconds(10));
  CHECK(clock.MonotonicNow() == absl::Seconds(10));
}

TEST_CASE("a step of the wall clock leaves monotonic time alone") {
  FakeClock clock;
  clock.SetWall(absl::UnixEpoch());
  CHECK(clock.Now() == absl::UnixEpoch());
  CHECK(clock.MonotonicNow() == absl::ZeroDuration());
}

TEST_CASE("a stop request ends a wait of a fake clock") {
  FakeClock clock;
  bool passed = true;
  std::jthread waiter([&](std::stop_token stop) { passed = clock.Wait(absl::Hours(1), stop); });
  clock.AwaitWaiters(1);
  waiter.request_stop();
  waiter.join();
  CHECK_FALSE(passed);
}

TEST_CASE("a stop request ends an endless wait of the system clock") {
  SystemClock clock;
  bool passed = true;
  std::jthread waiter(
      [&](std::stop_token stop) { passed = clock.Wait(absl::InfiniteDuration(), stop); });
  waiter.request_stop();
  waiter.join();
  CHECK_FALSE(passed);
}

TEST_CASE("the system clock waits at least the asked duration") {
  SystemClock clock;
  const absl::Duration start = clock.MonotonicNow();
  CHECK(clock.Wait(absl::Milliseconds(5), std::stop_token()));
  CHECK(clock.MonotonicNow() - start >= absl::Milliseconds(5));
  CHECK(clock.WaitUntil(start, std::stop_token()));
}

}  // namespace
}  // namespace coder::clock
