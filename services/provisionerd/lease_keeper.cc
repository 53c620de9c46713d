#include "services/provisionerd/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "libs/server/log.h"

namespace coder::provisionerd {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);

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
    if (!clock_.WaitUntil(std::min(next, last_moment), stop)) return;
    if (clock_.MonotonicNow() >= last_moment) {
      log::Warn("no heartbeat got through within the lease; stopping the engine",
                {{"job_id", lease_.job_id}});
      Lose();
      return;
    }
    next = Beat();
  }
}

}  // namespace coder::provisionerd
