#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/server/loop.h"
#include "libs/storage/job_store.h"

namespace coder::api {

/// Ends jobs whose provisioner went silent, a few a pass. Who could not be heard is not silent:
/// nothing is ended until heartbeats have been acceptable for one full lease, counted anew after
/// every failed pass, every reported failure and every pause between passes of half a lease. Run
/// by one Loop; FoundUnavailable from any thread.
class ReapPass {
 public:
  struct Options {
    absl::Duration lease = absl::Seconds(30);
    /// Jobs ended in one pass at most.
    int limit = 10;
    absl::Duration query_timeout = absl::Seconds(5);
    /// Told of ended jobs; may be empty.
    std::function<void(const std::vector<storage::ReapedJob>&)> on_reaped;
  };

  /// Store and clock must outlive the pass.
  ReapPass(storage::JobStore& store, clock::Clock& clock, Options options)
      : store_(store), clock_(clock), options_(std::move(options)) {}

  /// One pass; its error is the store's.
  absl::StatusOr<server::PassOutcome> Run(std::stop_token stop);

  /// A heartbeat could not be accepted for the service's own sake.
  void FoundUnavailable();

 private:
  bool AcceptableForALease(absl::Duration now);

  storage::JobStore& store_;
  clock::Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  // Monotonic; guarded by mutex_.
  std::optional<absl::Duration> acceptable_since_;
  std::optional<absl::Duration> last_pass_;
};

}  // namespace coder::api
