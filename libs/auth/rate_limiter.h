#pragma once

#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"

namespace coder::auth {

/// A token bucket for each key: `burst` attempts at once, then `burst` for each `refill`, evenly.
/// Of one process; with n replicas behind a balancer the limit is up to n times as high.
/// Thread-safe.
class RateLimiter {
 public:
  /// The clock must outlive the limiter.
  RateLimiter(int burst, absl::Duration refill, clock::Clock& clock);

  /// Counts an attempt. RESOURCE_EXHAUSTED, with the delay after which the next one is admitted,
  /// when the key's bucket is empty; `attempt` begins the message ("log in").
  absl::Status Admit(absl::string_view key, absl::string_view attempt);

 private:
  void DropFullBuckets(absl::Duration now);

  const absl::Duration per_token_;
  // How far a bucket may be from full and still hold a whole token.
  const absl::Duration tolerance_;
  clock::Clock& clock_;
  std::mutex mutex_;
  // When each bucket is full again, on the monotonic clock; guarded by mutex_.
  absl::flat_hash_map<std::string, absl::Duration> full_at_;
};

}  // namespace coder::auth
