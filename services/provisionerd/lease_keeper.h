#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

#include "libs/clock/clock.h"
#include "services/provisionerd/job_client.h"

namespace coder::provisionerd {

/// Why a job's engine has to stop, in the order of weight.
enum class StopCause {
  kNone,
  /// The daemon drains.
  kDrain,
  /// Somebody canceled the job.
  kCancel,
  /// The lease is lost, or would be before the next heartbeat could renew it.
  kLeaseLost,
};

/// Renews one job's lease from its own thread, and stops the engine when the job is canceled or the
/// lease cannot be kept. The engine is killed a sixth of the lease before the server may think it
/// expired, by this machine's monotonic clock, so that two engines never work on one workspace.
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

  JobClient& client_;
  clock::Clock& clock_;
  const Lease lease_;
  absl::Duration lease_duration_;
  /// Until when the lease holds for certain.
  absl::Duration holds_until_;
  std::atomic<StopCause> cause_{StopCause::kNone};
  std::stop_source interrupt_;
  std::stop_source kill_;
  std::jthread thread_;
};

}  // namespace coder::provisionerd
