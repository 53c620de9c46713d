#include "libs/schedule/ttl.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::schedule {
namespace {

constexpr absl::Duration kTravel = absl::Minutes(1);

absl::Status BadField(absl::string_view attempt, absl::string_view field, absl::string_view why) {
  return status::WithFieldViolation(absl::InvalidArgumentError(absl::StrCat(attempt, ": ", why)),
                                    field, why);
}

absl::Status BadTtl(absl::Duration ttl, absl::string_view rule) {
  return BadField("check ttl", "ttl",
                  absl::StrCat(absl::FormatDuration(ttl), ": ", rule,
                               "; use 1 minute to 30 days, or none for a manual shutdown"));
}

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

absl::Status CheckRunning(const Extension& extension) {
  const lifecycle::WorkspaceStatus workspace =
      lifecycle::DeriveWorkspaceStatus(extension.transition, extension.job_status);
  if (workspace == lifecycle::WorkspaceStatus::kRunning) return absl::OkStatus();
  const bool building = !lifecycle::IsFinal(extension.job_status) &&
                        extension.transition == lifecycle::BuildTransition::kStart;
  return status::WithReason(
      absl::FailedPreconditionError(
          building ? "extend workspace: workspace is still building; wait until it has started"
                   : absl::StrCat("extend workspace: workspace must be started, current status: ",
                                  lifecycle::ToString(workspace), "; start it first")),
      "NOT_RUNNING");
}

}  // namespace

absl::StatusOr<absl::Duration> CheckTtl(absl::Duration ttl) {
  if (ttl < kMinTtl) return BadTtl(ttl, "time until shutdown must be at least one minute");
  if (ttl > kMaxTtl) return BadTtl(ttl, "time until shutdown must be at most 30 days");
  return absl::Trunc(ttl, absl::Minutes(1));
}

std::optional<absl::Duration> EffectiveTtl(std::optional<absl::Duration> workspace_ttl,
                                           std::optional<absl::Duration> template_default,
                                           bool allow_user_autostop) {
  return allow_user_autostop ? workspace_ttl : template_default;
}

std::optional<absl::Time> DeadlineAfterStart(const StartedWorkspace& started) {
  std::optional<absl::Time> deadline;
  if (started.ttl && *started.ttl > absl::ZeroDuration()) {
    deadline = started.completed_at + *started.ttl;
    if (started.autostart) {
      // A schedule that never fires moves nothing; it is reported where it is decided on.
      const absl::StatusOr<absl::Time> slot = NextAllowedAutostart(
          started.completed_at, *started.autostart, started.autostart_allowed_days);
      if (slot.ok() && *deadline >= *slot) deadline = *slot + *started.ttl;
    }
  }
  if (!started.max_deadline) return deadline;
  return deadline ? std::min(*deadline, *started.max_deadline) : *started.max_deadline;
}

absl::Status CheckExtension(const Extension& extension) {
  if (absl::Status status = CheckRunning(extension); !status.ok()) return status;
  if (!extension.deadline) {
    return status::WithReason(
        absl::FailedPreconditionError(
            "extend workspace: workspace shutdown is manual; set a ttl to give it a deadline"),
        "NO_DEADLINE");
  }
  if (extension.requested < extension.now + kMinExtension - kTravel) {
    return BadField("extend workspace", "deadline",
                    absl::StrCat(Rfc3339(extension.requested),
                                 ": new deadline must be at least 30 minutes in the future; use ",
                                 Rfc3339(extension.now + kMinExtension), " or later"));
  }
  if (extension.max_deadline && extension.requested > *extension.max_deadline) {
    return BadField("extend workspace", "deadline",
                    absl::StrCat(Rfc3339(extension.requested),
                                 ": cannot extend workspace beyond max deadline; use ",
                                 Rfc3339(*extension.max_deadline), " or earlier"));
  }
  return absl::OkStatus();
}

}  // namespace coder::schedule
