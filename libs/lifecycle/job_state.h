#pragma once

#include <optional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/lifecycle/types.h"

namespace coder::lifecycle {

/// What is remembered of a provisioner job. Its status is never stored beside these: it follows.
struct JobState {
  /// When a provisioner took it; absent while it waits.
  std::optional<absl::Time> started_at;
  /// When a cancel was asked for, unless the work was done before the cancel could stop it.
  std::optional<absl::Time> canceled_at;
  /// When it ended; nothing changes after that.
  std::optional<absl::Time> completed_at;
  /// Why it failed; empty unless it did.
  std::string error;
  /// A stable word for `error`, such as REQUIRED_TEMPLATE_VARIABLES; may be empty.
  std::string error_code;

  friend bool operator==(const JobState&, const JobState&) = default;
};

/// A provisioner takes the job.
struct Acquire {};

/// Someone asks to cancel. A pending job ends at once; a running one when its runner has stopped.
struct RequestCancel {
  /// When set, the cancel is meant for a job in this status only.
  std::optional<JobStatus> expected_status;
};

/// The runner did all the work. Also ends a canceling job: the cancel came too late to stop
/// anything, and saying "canceled" of work that was done would be wrong; canceled_at is cleared.
struct Succeed {};

/// The runner failed by itself, whether or not a cancel was asked for.
struct Fail {
  /// Not empty.
  std::string error;
  std::string error_code;
};

/// The runner stopped because a cancel was asked for.
struct ReportCanceled {};

/// The runner has not been heard of for a whole lease.
struct LeaseExpire {};

/// The job never reached the runner that acquired it: it waits again, or, when a cancel was asked
/// for meanwhile, ends canceled.
struct Withdraw {};

using JobEvent =
    std::variant<Acquire, RequestCancel, Succeed, Fail, ReportCanceled, LeaseExpire, Withdraw>;

/// The status that follows from `state`.
JobStatus StatusOf(const JobState& state);

/// What a job is after `event` at `now`. FAILED_PRECONDITION when the event cannot happen to the
/// job as it is, with the reason JOB_COMPLETED (it ended before), JOB_CANCELED (a cancel
/// was asked for before), JOB_ALREADY_STARTED (acquired before), JOB_NOT_RUNNING (not acquired
/// yet), JOB_NOT_CANCELING (a cancel is reported that nobody asked for) or STATUS_MISMATCH (not
/// the expected status); INVALID_ARGUMENT when a failure does not say why.
absl::StatusOr<JobState> Step(const JobState& state, const JobEvent& event, absl::Time now);

/// The error code of a job whose lease expired.
inline constexpr absl::string_view kLeaseExpiredCode = "LEASE_EXPIRED";

}  // namespace coder::lifecycle
