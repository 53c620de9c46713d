#pragma once

#include "libs/clock/clock.h"

namespace coder::clock {

/// The machine's clocks. Stateless: any number may exist, and each may be shared by threads.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration MonotonicNow() const override;
  bool Wait(absl::Duration duration, std::stop_token stop) override;
};

}  // namespace coder::clock
