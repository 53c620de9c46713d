#include "libs/lifecycle/autostart_retry.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/autostart_slots.h"
#include "libs/schedule/cron.h"

namespace coder::lifecycle {
namespace {

bool IsToBeRetried(const LifecycleSnapshot& snapshot) {
  const auto& failed = snapshot.failed_autostart;
  return failed && snapshot.transition == BuildTransition::kStart &&
         snapshot.job_status == JobStatus::kFailed && snapshot.job_completed_at &&
         failed->attempt < snapshot.policy.autostart_max_attempts &&
         !snapshot.autostart_schedule.empty() &&
         snapshot.autostart_set_at.value_or(absl::InfinitePast()) <= failed->nominal_time;
}

std::optional<Obstacle> ObstacleTo(const LifecycleSnapshot& snapshot, absl::Time nominal) {
  if (auto around = ObstacleAround(snapshot)) return around;
  const auto cron = schedule::Cron::ParseWeekly(snapshot.autostart_schedule);
  return BlackoutAt(snapshot, nominal, cron.ok() ? cron->zone() : absl::UTCTimeZone());
}

}  // namespace

absl::Duration RetryDelay(absl::Duration delay, int32_t failed) {
  for (int32_t i = 1; i < failed && delay < kMaxRetryDelay; ++i) delay *= 2;
  return std::min(delay, kMaxRetryDelay);
}

RetryFinding FindRetry(const LifecycleSnapshot& snapshot, absl::Time tick) {
  RetryFinding finding;
  if (!IsToBeRetried(snapshot)) return finding;
  const FailedAutostart& failed = *snapshot.failed_autostart;
  const absl::Time due = *snapshot.job_completed_at +
                         RetryDelay(snapshot.policy.autostart_retry_delay, failed.attempt);
  if (tick < due) {
    finding.waits_until = due;
    return finding;
  }
  const auto unused = [&](bool missed, std::string reason, std::string detail) {
    return UnusedSlot{.nominal_time = failed.nominal_time,
                      .missed = missed,
                      .reason = std::move(reason),
                      .detail = std::move(detail),
                      .attempt = failed.attempt + 1};
  };
  if (const auto obstacle = ObstacleTo(snapshot, failed.nominal_time)) {
    finding.unused = unused(false, obstacle->reason, obstacle->detail);
  } else if (tick - due > snapshot.policy.autostart_catch_up) {
    finding.unused = unused(true, "OUTSIDE_CATCH_UP",
                            absl::StrCat("the retry was noticed later than ",
                                         absl::FormatDuration(snapshot.policy.autostart_catch_up),
                                         " after it, which the template does not catch up"));
  } else {
    finding.due = {failed.nominal_time, failed.attempt + 1};
  }
  return finding;
}

}  // namespace coder::lifecycle
