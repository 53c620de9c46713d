#include "services/provisionerd/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "libs/server/log.h"

namespace coder::provisionerd {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);
// An outage of this length does not end jobs; the server ends none for it either.
constexpr absl::Duration kLongestPause = absl::Minutes(10);

}  // namespace

LeaseKeeper::LeaseKeeper(JobClient& client, clock::Clock& clock, Lease lease,
                         absl::Duration lease_duration, absl::Duration acquired_at)
    : client_(client),
      clock_(clock),
      lease_(std::move(lease)),
      lease_duration_(lease_duration),
      holds_until_(acquired_at + lease_duration),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

LeaseKeeper::~LeaseKeeper() {
  thread_.request_stop();
  thread_.join();
}

void LeaseKeeper::Drain() {
  Raise(StopCause::kDrain);
  interrupt_.request_stop();
}

void LeaseKeeper::Raise(StopCause cause) {
  StopCause current = cause_.load();
  while (current < cause && !cause_.compare_exchange_weak(current, cause)) {
  }
}

void LeaseKeeper::Lose() {
  Raise(StopCause::kLeaseLost);
  interrupt_.request_stop();
  kill_.request_stop();
}

absl::Duration LeaseKeeper::Beat() {
  const absl::Duration sent = clock_.MonotonicNow();
  const absl::StatusOr<HeartbeatAnswer> answer = client_.Heartbeat(lease_);
  if (answer.ok()) {
    lease_duration_ = answer->lease_duration;
    holds_until_ = sent + lease_duration_;
    if (pause_.is_on()) {
      log::Info("the lease still holds; the engine goes on", {{"job_id", lease_.job_id}});
      pause_.Set(false);
    }
    if (answer->cancel_requested) {
      Raise(StopCause::kCancel);
      interrupt_.request_stop();
    }
    return sent + lease_duration_ / 3;
  }
  if (answer.status().code() == absl::StatusCode::kFailedPrecondition) {
    log::Warn("lease lost; stopping the engine",
              {{"job_id", lease_.job_id}, {"error", answer.status()}});
    Lose();
  }
  return clock_.MonotonicNow() + kRetry;
}

void LeaseKeeper::Run(std::stop_token stop) {
  absl::Duration next = holds_until_ - lease_duration_ * 2 / 3;
  while (cause() != StopCause::kLeaseLost) {
    const absl::Duration last_moment = holds_until_ - lease_duration_ / 6;
    if (!clock_.WaitUntil(pause_.is_on() ? next : std::min(next, last_moment), stop)) return;
    if (clock_.MonotonicNow() >= last_moment) Doubt();
    if (cause() != StopCause::kLeaseLost) next = Beat();
  }
}

void LeaseKeeper::Doubt() {
  if (clock_.MonotonicNow() >= holds_until_ + kLongestPause) {
    log::Warn("no heartbeat got through for too long; stopping the engine",
              {{"job_id", lease_.job_id}});
    return Lose();
  }
  if (pause_.is_on()) return;
  log::Warn("no heartbeat got through within the lease; the engine stands still until one does",
            {{"job_id", lease_.job_id}});
  pause_.Set(true);
}

}  // namespace coder::provisionerd
