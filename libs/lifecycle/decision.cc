#include "libs/lifecycle/decision.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/lifecycle/autostart_retry.h"
#include "libs/lifecycle/autostart_slots.h"

namespace coder::lifecycle {
namespace {

// A workspace whose deletion failed is tried again after a day, not each minute.
constexpr absl::Duration kDeleteRetry = absl::Hours(24);

constexpr absl::string_view kKinds[] = {"autostart", "autostop",   "failed_cleanup",
                                        "dormancy",  "autodelete", "autostop_reminder"};

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

Decision Due(LifecycleAction action, LifecycleKind kind, BuildReason reason, absl::Time nominal,
             std::string explanation) {
  return {.action = action,
          .kind = kind,
          .reason = reason,
          .nominal_time = nominal,
          .explanation = std::move(explanation)};
}

std::optional<Decision> Autostop(const LifecycleSnapshot& snapshot, absl::Time tick) {
  const bool started = snapshot.transition == BuildTransition::kStart &&
                       IsFinal(snapshot.job_status) && snapshot.job_status != JobStatus::kFailed;
  if (!started || snapshot.dormant_at) return std::nullopt;
  // At the deadline itself the workspace is stopped.
  if (snapshot.deadline && tick >= *snapshot.deadline) {
    return Due(LifecycleAction::kStop, LifecycleKind::kAutostop, BuildReason::kAutostop,
               *snapshot.deadline,
               absl::StrCat("the deadline ", Utc(*snapshot.deadline), " has come"));
  }
  if (snapshot.owner_status == UserStatus::kSuspended) {
    // One stop per build: the build is what stays the same however often this is decided.
    return Due(LifecycleAction::kStop, LifecycleKind::kAutostop, BuildReason::kAutostop,
               snapshot.build_created_at, "the owner is suspended");
  }
  return std::nullopt;
}

std::optional<Decision> FailedCleanup(const LifecycleSnapshot& snapshot, absl::Time tick) {
  const bool failed = snapshot.job_status == JobStatus::kFailed && snapshot.job_completed_at &&
                      snapshot.transition != BuildTransition::kDelete;
  const auto& ttl = snapshot.policy.failure_ttl;
  if (!failed || !ttl || *ttl <= absl::ZeroDuration()) return std::nullopt;
  const absl::Time due = *snapshot.job_completed_at + *ttl;
  // Not at the time itself, only after it.
  if (tick <= due) return std::nullopt;
  return Due(LifecycleAction::kStop, LifecycleKind::kFailedCleanup, BuildReason::kFailedStop, due,
             absl::StrCat("the latest ", ToString(snapshot.transition), " build failed more than ",
                          absl::FormatDuration(*ttl), " ago"));
}

std::optional<Decision> Dormancy(const LifecycleSnapshot& snapshot, absl::Time tick) {
  const auto& limit = snapshot.policy.time_til_dormant;
  if (snapshot.dormant_at || !limit || *limit <= absl::ZeroDuration()) return std::nullopt;
  // Whatever is being done to it now counts as use.
  if (!IsFinal(snapshot.job_status)) return std::nullopt;
  const absl::Time due = snapshot.last_used_at + *limit;
  // Not at the time itself, only after it.
  if (tick <= due) return std::nullopt;
  const bool started = snapshot.transition == BuildTransition::kStart;
  return Due(
      started ? LifecycleAction::kStop : LifecycleAction::kMarkDormant, LifecycleKind::kDormancy,
      BuildReason::kDormancy, due,
      absl::StrCat("the workspace was not used for more than ", absl::FormatDuration(*limit)));
}

std::optional<Decision> Autodelete(const LifecycleSnapshot& snapshot, absl::Time tick) {
  const auto& limit = snapshot.policy.time_til_dormant_autodelete;
  const bool doomed = snapshot.dormant_at && snapshot.deleting_at && limit &&
                      *limit > absl::ZeroDuration() && IsFinal(snapshot.job_status);
  if (!doomed) return std::nullopt;
  absl::Time due = *snapshot.deleting_at;
  const bool delete_failed = snapshot.transition == BuildTransition::kDelete &&
                             snapshot.job_status != JobStatus::kSucceeded;
  // A canceled delete was a person's wish, and is as good a reason to wait.
  if (delete_failed && snapshot.job_completed_at) {
    due = std::max(due, *snapshot.job_completed_at + kDeleteRetry);
  }
  // Not at the time itself, only after it.
  if (tick <= due) return std::nullopt;
  return Due(LifecycleAction::kDelete, LifecycleKind::kAutodelete, BuildReason::kAutodelete, due,
             absl::StrCat("the workspace is dormant since ", Utc(*snapshot.dormant_at),
                          " and was to be deleted at ", Utc(*snapshot.deleting_at)));
}

std::optional<Decision> Reminder(const LifecycleSnapshot& snapshot, absl::Time tick) {
  const auto& before = snapshot.policy.autostop_reminder;
  const bool running = snapshot.transition == BuildTransition::kStart &&
                       snapshot.job_status == JobStatus::kSucceeded && !snapshot.dormant_at;
  if (!before || !running || !snapshot.deadline || snapshot.autostop_reminded) return std::nullopt;
  if (tick < *snapshot.deadline - *before) return std::nullopt;
  return Due(LifecycleAction::kRemind, LifecycleKind::kAutostopReminder, BuildReason::kAutostop,
             *snapshot.deadline,
             absl::StrCat("the workspace stops by itself at ", Utc(*snapshot.deadline),
                          ", in less than ", absl::FormatDuration(*before)));
}

std::optional<Decision> Autostart(const LifecycleSnapshot& snapshot,
                                  const AutostartFinding& autostart, const RetryFinding& retry) {
  if (retry.due) {
    Decision decision =
        Due(LifecycleAction::kStart, LifecycleKind::kAutostart, BuildReason::kAutostart,
            retry.due->nominal_time,
            absl::StrCat("attempt ", retry.due->attempt, " of ",
                         snapshot.policy.autostart_max_attempts, " for the slot at ",
                         Utc(retry.due->nominal_time), ": the build before it failed"));
    decision.attempt = retry.due->attempt;
    return decision;
  }
  if (!autostart.due) return std::nullopt;
  return Due(LifecycleAction::kStart, LifecycleKind::kAutostart, BuildReason::kAutostart,
             *autostart.due,
             absl::StrCat("the schedule \"", snapshot.autostart_schedule, "\" fired at ",
                          Utc(*autostart.due)));
}

}  // namespace

absl::string_view ToString(LifecycleKind kind) {
  const auto index = static_cast<size_t>(kind);
  return index < std::size(kKinds) ? kKinds[index] : "unknown";
}

absl::StatusOr<LifecycleKind> ParseLifecycleKind(absl::string_view text) {
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i] == text) return static_cast<LifecycleKind>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("parse lifecycle kind: \"", text,
                   "\" is not known; use one of: autostart, autostop, failed_cleanup, dormancy, "
                   "autodelete, autostop_reminder"));
}

Decision NextTransition(const LifecycleSnapshot& snapshot, absl::Time tick) {
  if (snapshot.deleted) return {.explanation = "the workspace is deleted"};
  AutostartFinding autostart = FindAutostart(snapshot, tick);
  RetryFinding retry = FindRetry(snapshot, tick);
  std::optional<Decision> decision = Autostop(snapshot, tick);
  if (!decision) decision = Autostart(snapshot, autostart, retry);
  if (!decision && !retry.waits_until) decision = FailedCleanup(snapshot, tick);
  if (!decision) decision = Dormancy(snapshot, tick);
  if (!decision) decision = Autodelete(snapshot, tick);
  if (!decision) decision = Reminder(snapshot, tick);
  if (!decision) decision = Decision{.explanation = "nothing is due"};
  decision->unused_slots = std::move(autostart.unused);
  if (retry.unused) decision->unused_slots.push_back(*std::move(retry.unused));
  decision->schedule_error = std::move(autostart.schedule_error);
  return *std::move(decision);
}

}  // namespace coder::lifecycle
