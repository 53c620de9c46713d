#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"

namespace coder::lifecycle {

/// What the retry rule makes of a workspace.
struct RetryFinding {
  /// The nominal time, and the attempt, to start for now.
  std::optional<FailedAutostart> due;
  /// A retry is to come, at this time.
  std::optional<absl::Time> waits_until;
  /// A retry that was due and comes to nothing.
  std::optional<UnusedSlot> unused;
};

/// How long a retry waits after attempt `failed`, from 1, has failed: `delay`, doubled for each
/// attempt after the first, at most kMaxRetryDelay.
absl::Duration RetryDelay(absl::Duration delay, int32_t failed);

/// Whether the autostart that the newest build was for is attempted again. Exactly at its time a
/// retry is due, and it runs up to and including the template's catch-up window after it. A
/// schedule that was changed or taken away since is not held to its former slots.
RetryFinding FindRetry(const LifecycleSnapshot& snapshot, absl::Time tick);

}  // namespace coder::lifecycle
