#pragma once

#include <chrono>

#include "absl/time/time.h"

namespace coder::clock {

/// The moment after which nobody waits for an answer any more, on this process's monotonic clock,
/// so a step of the wall clock neither shortens nor lengthens it. An immutable value.
class Deadline {
 public:
  /// `duration` from now. Zero or less has already expired; infinite never expires.
  static Deadline After(absl::Duration duration) { return Deadline(SteadyNow() + duration); }

  /// Never expires.
  static Deadline Never() { return Deadline(absl::InfiniteDuration()); }

  /// Time left; zero or negative once expired, infinite if it never expires.
  absl::Duration Remaining() const { return at_ - SteadyNow(); }

  /// Whether no time is left.
  bool Expired() const { return Remaining() <= absl::ZeroDuration(); }

 private:
  explicit Deadline(absl::Duration at) : at_(at) {}

  static absl::Duration SteadyNow() {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  absl::Duration at_;
};

}  // namespace coder::clock
