#pragma once

#include <ucontext.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "libs/clock/fake_clock.h"

namespace coder::sim {

/// The only source of chance of one run: the same seed gives the same run.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  /// 0 to n - 1; 0 when n is below 1.
  int64_t Below(int64_t n) { return n < 1 ? 0 : static_cast<int64_t>(engine_() % n); }
  bool OneIn(int64_t n) { return Below(n) == 0; }
  absl::Duration Upto(absl::Duration limit) {
    return absl::Microseconds(Below(absl::ToInt64Microseconds(limit) + 1));
  }

 private:
  std::mt19937_64 engine_;
};

/// A process of the simulated deployment, as far as it can be stopped.
struct Process {
  /// Killed: nothing it does has an effect any more, and it must come to its end.
  bool dead = false;
  /// Stopped by a signal until then; what it was about to do happens afterwards.
  absl::Duration frozen_until;
};

/// Threads that take turns where they call the outside world, in an order drawn from the seed, over
/// a clock that jumps to when the next one is due. One real thread, so code under test must not
/// hold a lock across a call to its ports.
class Fibers {
 public:
  Fibers(clock::FakeClock& clock, Random& random) : clock_(clock), random_(random) {}
  ~Fibers();

  /// Begins a fiber; it first runs when another one waits. Returns its number.
  size_t Spawn(std::function<void()> body);

  /// For the running fiber: lets others run for `duration`, or as long as its process is frozen.
  void Sleep(const Process& process, absl::Duration duration);
  /// Sleeps until Wake() or for `limit`.
  void Park(absl::Duration limit);
  void Wake(size_t fiber);
  /// The running fiber's number.
  size_t current() const { return running_; }

  /// Lets everything run until the clock reaches `end`. From a fiber's view nothing happened.
  void RunUntil(absl::Duration end);
  /// Sleep() and Park() no longer wait; runs every fiber to its end.
  void Finish();
  bool finishing() const { return finishing_; }
  int64_t switches() const { return switches_; }
  /// Of which fiber ran when: two runs with one digest took the same way.
  uint64_t digest() const { return digest_; }

 private:
  struct Fiber {
    std::function<void()> body;
    std::unique_ptr<char[]> stack;
    ucontext_t context;
    absl::Duration due;
    bool done = false;
  };

  static void Enter();
  void Leave();
  void RunOne(size_t fiber);

  // For Enter(), which gets no argument.
  static Fibers* switching_;

  clock::FakeClock& clock_;
  Random& random_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  ucontext_t scheduler_;
  size_t running_ = 0;
  bool finishing_ = false;
  int64_t switches_ = 0;
  uint64_t digest_ = 0;
};

}  // namespace coder::sim
