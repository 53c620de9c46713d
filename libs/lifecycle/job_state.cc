#include "libs/lifecycle/job_state.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::lifecycle {
namespace {

constexpr absl::string_view kLeaseExpiredError =
    "the provisioner running this job was not heard of for a whole lease; check that it is running "
    "and start the build again";

absl::Status Refused(absl::string_view reason, absl::string_view message) {
  return status::WithReason(absl::FailedPreconditionError(message), reason);
}

absl::Status Completed(const JobState& state, absl::string_view attempt) {
  return Refused("JOB_COMPLETED",
                 absl::StrCat(attempt, ": job has already completed (", ToString(StatusOf(state)),
                              "); nothing can change it"));
}

absl::Status RequireRunner(const JobState& state, absl::string_view attempt) {
  if (state.completed_at) return Completed(state, attempt);
  if (state.started_at) return absl::OkStatus();
  return Refused("JOB_NOT_RUNNING",
                 absl::StrCat(attempt, ": job is pending; a provisioner has to acquire it first"));
}

struct Stepper {
  JobState state;
  absl::Time now;

  absl::StatusOr<JobState> operator()(const Acquire&) {
    if (state.completed_at) return Completed(state, "acquire job");
    if (state.started_at) {
      return Refused("JOB_ALREADY_STARTED",
                     "acquire job: another provisioner has acquired it; take the next one");
    }
    state.started_at = now;
    return state;
  }

  absl::StatusOr<JobState> operator()(const RequestCancel& event) {
    const JobStatus status = StatusOf(state);
    if (event.expected_status && *event.expected_status != status) {
      return Refused("STATUS_MISMATCH", absl::StrCat("cancel job: it is ", ToString(status),
                                                     ", not ", ToString(*event.expected_status),
                                                     " as expected; look at it again"));
    }
    if (state.completed_at) return Completed(state, "cancel job");
    if (state.canceled_at) {
      return Refused("JOB_CANCELED",
                     "cancel job: job has already been marked as canceled; wait for it to stop");
    }
    state.canceled_at = now;
    if (!state.started_at) state.completed_at = now;
    return state;
  }

  absl::StatusOr<JobState> operator()(const Succeed&) {
    RETURN_IF_ERROR(RequireRunner(state, "complete job"));
    state.canceled_at.reset();
    state.completed_at = now;
    return state;
  }

  absl::StatusOr<JobState> operator()(const Fail& event) {
    RETURN_IF_ERROR(RequireRunner(state, "fail job"));
    if (event.error.empty()) {
      return absl::InvalidArgumentError(
          "fail job: the error is empty; say why the job failed in one sentence");
    }
    state.completed_at = now;
    state.error = event.error;
    state.error_code = event.error_code;
    return state;
  }

  absl::StatusOr<JobState> operator()(const ReportCanceled&) {
    RETURN_IF_ERROR(RequireRunner(state, "end canceled job"));
    if (!state.canceled_at) {
      return Refused("JOB_NOT_CANCELING",
                     "end canceled job: nobody asked to cancel it; report a failure instead");
    }
    state.completed_at = now;
    return state;
  }

  absl::StatusOr<JobState> operator()(const LeaseExpire&) {
    RETURN_IF_ERROR(RequireRunner(state, "expire lease of job"));
    state.completed_at = now;
    state.error = std::string(kLeaseExpiredError);
    state.error_code = std::string(kLeaseExpiredCode);
    return state;
  }

  absl::StatusOr<JobState> operator()(const Withdraw&) {
    RETURN_IF_ERROR(RequireRunner(state, "withdraw job"));
    state.started_at.reset();
    if (state.canceled_at) state.completed_at = now;
    return state;
  }
};

}  // namespace

JobStatus StatusOf(const JobState& state) {
  if (state.completed_at) {
    if (!state.error.empty()) return JobStatus::kFailed;
    return state.canceled_at ? JobStatus::kCanceled : JobStatus::kSucceeded;
  }
  if (state.canceled_at) return JobStatus::kCanceling;
  return state.started_at ? JobStatus::kRunning : JobStatus::kPending;
}

absl::StatusOr<JobState> Step(const JobState& state, const JobEvent& event, absl::Time now) {
  return std::visit(Stepper{state, now}, event);
}

}  // namespace coder::lifecycle
