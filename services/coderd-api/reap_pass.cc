#include "services/coderd-api/reap_pass.h"

#include "libs/clock/deadline.h"
#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"
#include "libs/status/status_macros.h"

namespace coder::api {

absl::StatusOr<server::PassOutcome> ReapPass::Run(std::stop_token) {
  const auto deadline = clock::Deadline::After(options_.query_timeout);
  if (absl::Status writable = store_.CheckWritable(deadline); !writable.ok()) {
    FoundUnavailable();
    return writable;
  }
  if (!AcceptableForALease(clock_.MonotonicNow())) return server::PassOutcome::kIdle;
  failpoint::Hit("api.before_reap");
  const auto reaped = store_.ReapExpired(options_.limit, deadline);
  if (!reaped.ok()) {
    FoundUnavailable();
    return reaped.status();
  }
  for (const storage::ReapedJob& job : *reaped) {
    log::Warn("ended a job whose provisioner was not heard of for a whole lease",
              {{"job_id", job.id.ToString()}, {"type", lifecycle::ToString(job.type)}});
  }
  if (!reaped->empty() && options_.on_reaped) options_.on_reaped(*reaped);
  const bool more = static_cast<int>(reaped->size()) == options_.limit;
  return more ? server::PassOutcome::kMore : server::PassOutcome::kIdle;
}

void ReapPass::FoundUnavailable() {
  const std::lock_guard lock(mutex_);
  acceptable_since_.reset();
}

bool ReapPass::AcceptableForALease(absl::Duration now) {
  const std::lock_guard lock(mutex_);
  // Long pauses are of this process too, which then accepted nothing.
  const bool paused = last_pass_ && now - *last_pass_ > options_.lease / 2;
  last_pass_ = now;
  if (!acceptable_since_ || paused) acceptable_since_ = now;
  return now - *acceptable_since_ >= options_.lease;
}

}  // namespace coder::api
