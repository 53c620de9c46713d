#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "libs/clock/clock.h"
#include "libs/process/pause.h"
#include "services/provisionerd/job_client.h"

namespace coder::provisionerd {

/// Why a job's engine has to stop, in the order of weight.
enum class StopCause {
  kNone,
  /// The daemon drains.
  kDrain,
  /// Somebody canceled the job.
  kCancel,
  /// The lease is lost, or nobody could be asked about it for too long.
  kLeaseLost,
};

/// Renews one job's lease from its own thread, and stops the engine when the job is canceled or the
/// lease cannot be kept. A sixth of the lease before the server may think it expired, by this
/// machine's monotonic clock, the engine is paused, so that two never work on one workspace: a
/// heartbeat that gets through after an outage lets it go on, a refused one ends it.
class LeaseKeeper {
 public:
  /// Starts renewing. `acquired_at` is the monotonic time at or before the job was handed out. Both
  /// references must outlive the keeper.
  LeaseKeeper(JobClient& client, clock::Clock& clock, Lease lease, absl::Duration lease_duration,
              absl::Duration acquired_at);
  /// Stops renewing and joins.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  /// Asks the engine to end in order.
  std::stop_token interrupt() const { return interrupt_.get_token(); }
  /// Asks the engine to end at once.
  std::stop_token kill() const { return kill_.get_token(); }
  /// On while nobody knows whether the lease still holds.
  process::Pause& pause() { return pause_; }

  /// Interrupts the engine because the daemon drains.
  void Drain();

  /// The weightiest cause so far. Any thread.
  StopCause cause() const { return cause_.load(); }

 private:
  void Run(std::stop_token stop);
  /// Returns when the next heartbeat is due, by the monotonic clock.
  absl::Duration Beat();
  void Raise(StopCause cause);
  void Lose();
  /// Pauses the engine, or gives the lease up when it was paused for too long.
  void Doubt();

  JobClient& client_;
  clock::Clock& clock_;
  const Lease lease_;
  absl::Duration lease_duration_;
  /// Until when the lease holds for certain.
  absl::Duration holds_until_;
  std::atomic<StopCause> cause_{StopCause::kNone};
  std::stop_source interrupt_;
  std::stop_source kill_;
  process::Pause pause_;
  std::jthread thread_;
};

}  // namespace coder::provisionerd
