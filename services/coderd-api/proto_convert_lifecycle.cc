#include "services/coderd-api/proto_convert_lifecycle.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

namespace pb = ::coder::lifecycle::v1;
using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;

// What a Timestamp may hold: the years 1 to 9999.
constexpr int64_t kMinSeconds = -62135596800;
constexpr int64_t kMaxSeconds = 253402300799;

pb::OwnerStatus ToProto(lifecycle::UserStatus status) {
  switch (status) {
    case lifecycle::UserStatus::kActive:
      return pb::OWNER_STATUS_ACTIVE;
    case lifecycle::UserStatus::kDormant:
      return pb::OWNER_STATUS_DORMANT;
    case lifecycle::UserStatus::kSuspended:
      return pb::OWNER_STATUS_SUSPENDED;
  }
  return pb::OWNER_STATUS_UNSPECIFIED;
}

pb::LifecycleOutcome ToProto(LifecycleOutcome outcome) {
  switch (outcome) {
    case LifecycleOutcome::kApplied:
      return pb::LIFECYCLE_OUTCOME_APPLIED;
    case LifecycleOutcome::kSkipped:
      return pb::LIFECYCLE_OUTCOME_SKIPPED;
    case LifecycleOutcome::kMissed:
      return pb::LIFECYCLE_OUTCOME_MISSED;
    case LifecycleOutcome::kNotDue:
      return pb::LIFECYCLE_OUTCOME_NOT_DUE;
  }
  return pb::LIFECYCLE_OUTCOME_UNSPECIFIED;
}

std::optional<LifecycleKind> FromProto(pb::LifecycleKind kind) {
  switch (kind) {
    case pb::LIFECYCLE_KIND_AUTOSTART:
      return LifecycleKind::kAutostart;
    case pb::LIFECYCLE_KIND_AUTOSTOP:
      return LifecycleKind::kAutostop;
    case pb::LIFECYCLE_KIND_FAILED_CLEANUP:
      return LifecycleKind::kFailedCleanup;
    case pb::LIFECYCLE_KIND_DORMANCY:
      return LifecycleKind::kDormancy;
    case pb::LIFECYCLE_KIND_AUTODELETE:
      return LifecycleKind::kAutodelete;
    case pb::LIFECYCLE_KIND_AUTOSTOP_REMINDER:
      return LifecycleKind::kAutostopReminder;
    default:
      return std::nullopt;
  }
}

absl::Status Violation(const char* field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("read lifecycle action: ", field, ": ", description)),
      field, description);
}

absl::StatusOr<absl::Time> TimeOf(const char* field, bool present,
                                  const google::protobuf::Timestamp& time) {
  if (!present) return Violation(field, "is missing; give a time");
  if (time.seconds() < kMinSeconds || time.seconds() > kMaxSeconds || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return Violation(field, "is no time between the years 1 and 9999");
  }
  return events::FromProto(time);
}

pb::TemplatePolicy ToProto(const lifecycle::TemplatePolicy& policy) {
  pb::TemplatePolicy message;
  message.set_allow_user_autostart(policy.allow_user_autostart);
  message.set_autostart_allowed_days(policy.autostart_allowed_days);
  *message.mutable_autostart_catch_up() = events::ToProto(policy.autostart_catch_up);
  if (policy.failure_ttl) *message.mutable_failure_ttl() = events::ToProto(*policy.failure_ttl);
  if (policy.time_til_dormant) {
    *message.mutable_time_til_dormant() = events::ToProto(*policy.time_til_dormant);
  }
  if (policy.time_til_dormant_autodelete) {
    *message.mutable_time_til_dormant_autodelete() =
        events::ToProto(*policy.time_til_dormant_autodelete);
  }
  message.set_autostart_max_attempts(policy.autostart_max_attempts);
  *message.mutable_autostart_retry_delay() = events::ToProto(policy.autostart_retry_delay);
  if (policy.autostop_reminder) {
    *message.mutable_autostop_reminder() = events::ToProto(*policy.autostop_reminder);
  }
  return message;
}

}  // namespace

pb::LifecycleCandidate ToProto(const lifecycle::LifecycleCandidate& candidate) {
  const lifecycle::LifecycleSnapshot& s = candidate.snapshot;
  pb::LifecycleCandidate message;
  message.set_workspace_id(candidate.workspace_id.ToString());
  message.set_owner_status(ToProto(s.owner_status));
  message.set_latest_transition(events::ToProto(s.transition));
  message.set_latest_status(events::ToProto(s.job_status));
  *message.mutable_latest_build_create_time() = events::ToProto(s.build_created_at);
  const auto set = [](const std::optional<absl::Time>& time, auto mutable_field) {
    if (time) *mutable_field() = events::ToProto(*time);
  };
  set(s.job_completed_at, [&] { return message.mutable_latest_job_complete_time(); });
  message.set_autostart_schedule(s.autostart_schedule);
  set(s.autostart_decided_until, [&] { return message.mutable_autostart_decided_until_time(); });
  set(s.autostart_set_at, [&] { return message.mutable_autostart_set_time(); });
  set(s.deadline, [&] { return message.mutable_deadline(); });
  set(s.dormant_at, [&] { return message.mutable_dormant_time(); });
  set(s.deleting_at, [&] { return message.mutable_deleting_time(); });
  *message.mutable_last_used_time() = events::ToProto(s.last_used_at);
  *message.mutable_autostart_offset() = events::ToProto(s.autostart_offset);
  set(s.autostart_skip_until, [&] { return message.mutable_autostart_skip_until_time(); });
  for (const lifecycle::BlackoutDates& dates : s.blackouts) {
    pb::BlackoutDates& blackout = *message.add_blackouts();
    blackout.set_first_date(lifecycle::FormatDate(dates.first));
    blackout.set_last_date(lifecycle::FormatDate(dates.last));
    blackout.set_reason(dates.reason);
  }
  if (s.failed_autostart) {
    pb::FailedAutostart& failed = *message.mutable_failed_autostart();
    *failed.mutable_nominal_time() = events::ToProto(s.failed_autostart->nominal_time);
    failed.set_attempt(s.failed_autostart->attempt);
  }
  message.set_autostop_reminded(s.autostop_reminded);
  *message.mutable_template_() = ToProto(s.policy);
  return message;
}

pb::LifecycleActionResult ToProto(const lifecycle::LifecycleResult& result) {
  pb::LifecycleActionResult message;
  message.set_outcome(ToProto(result.outcome));
  message.set_reason(result.reason);
  message.set_detail(result.detail);
  if (result.build_id) message.set_build_id(result.build_id->ToString());
  return message;
}

absl::StatusOr<lifecycle::LifecycleProposal> FromProto(const pb::LifecycleAction& action) {
  const auto workspace = lifecycle::WorkspaceId::Parse(action.workspace_id());
  if (!workspace.ok()) return Violation("workspace_id", workspace.status().message());
  const auto kind = FromProto(action.kind());
  if (!kind) return Violation("kind", "is not known; use one of LifecycleKind");
  ASSIGN_OR_RETURN(const absl::Time nominal,
                   TimeOf("nominal_time", action.has_nominal_time(), action.nominal_time()));
  if (action.attempt() < 1) return Violation("attempt", "counts from 1");
  return lifecycle::LifecycleProposal{*workspace, *kind, nominal, action.attempt()};
}

absl::StatusOr<absl::Time> TickOf(bool present, const google::protobuf::Timestamp& tick) {
  return TimeOf("tick", present, tick);
}

}  // namespace coder::api
