#include "services/autostart-scheduler/proto_convert.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"

namespace coder::scheduler {
namespace {

namespace pb = ::coder::lifecycle::v1;
using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;
using lifecycle::UserStatus;

absl::Status Unknown(const char* field, int value) {
  return absl::InternalError(absl::StrCat("read what coderd-api sent: ", field, " ", value,
                                          " is not known here; update the scheduler"));
}

std::optional<UserStatus> FromProto(pb::OwnerStatus status) {
  switch (status) {
    case pb::OWNER_STATUS_ACTIVE:
      return UserStatus::kActive;
    case pb::OWNER_STATUS_DORMANT:
      return UserStatus::kDormant;
    case pb::OWNER_STATUS_SUSPENDED:
      return UserStatus::kSuspended;
    default:
      return std::nullopt;
  }
}

std::optional<LifecycleOutcome> FromProto(pb::LifecycleOutcome outcome) {
  switch (outcome) {
    case pb::LIFECYCLE_OUTCOME_APPLIED:
      return LifecycleOutcome::kApplied;
    case pb::LIFECYCLE_OUTCOME_SKIPPED:
      return LifecycleOutcome::kSkipped;
    case pb::LIFECYCLE_OUTCOME_MISSED:
      return LifecycleOutcome::kMissed;
    case pb::LIFECYCLE_OUTCOME_NOT_DUE:
      return LifecycleOutcome::kNotDue;
    default:
      return std::nullopt;
  }
}

pb::LifecycleKind ToProto(LifecycleKind kind) {
  switch (kind) {
    case LifecycleKind::kAutostart:
      return pb::LIFECYCLE_KIND_AUTOSTART;
    case LifecycleKind::kAutostop:
      return pb::LIFECYCLE_KIND_AUTOSTOP;
    case LifecycleKind::kFailedCleanup:
      return pb::LIFECYCLE_KIND_FAILED_CLEANUP;
    case LifecycleKind::kDormancy:
      return pb::LIFECYCLE_KIND_DORMANCY;
    case LifecycleKind::kAutodelete:
      return pb::LIFECYCLE_KIND_AUTODELETE;
    case LifecycleKind::kAutostopReminder:
      return pb::LIFECYCLE_KIND_AUTOSTOP_REMINDER;
  }
  return pb::LIFECYCLE_KIND_UNSPECIFIED;
}

// The value of a message field, or nothing where it is not set.
template <typename Message>
auto Optional(bool present, const Message& message) {
  using Value = decltype(events::FromProto(message));
  return present ? std::optional<Value>(events::FromProto(message)) : std::nullopt;
}

lifecycle::TemplatePolicy FromProto(const pb::TemplatePolicy& message) {
  lifecycle::TemplatePolicy policy;
  policy.allow_user_autostart = message.allow_user_autostart();
  policy.autostart_allowed_days =
      static_cast<schedule::DaysOfWeek>(message.autostart_allowed_days());
  policy.autostart_catch_up = events::FromProto(message.autostart_catch_up());
  policy.failure_ttl = Optional(message.has_failure_ttl(), message.failure_ttl());
  policy.time_til_dormant = Optional(message.has_time_til_dormant(), message.time_til_dormant());
  policy.time_til_dormant_autodelete =
      Optional(message.has_time_til_dormant_autodelete(), message.time_til_dormant_autodelete());
  policy.autostart_max_attempts = message.autostart_max_attempts();
  policy.autostart_retry_delay = events::FromProto(message.autostart_retry_delay());
  policy.autostop_reminder = Optional(message.has_autostop_reminder(), message.autostop_reminder());
  return policy;
}

absl::Status ReadBlackouts(const pb::LifecycleCandidate& message,
                           lifecycle::LifecycleSnapshot& snapshot) {
  for (const pb::BlackoutDates& dates : message.blackouts()) {
    const auto read =
        lifecycle::CheckBlackout(dates.first_date(), dates.last_date(), dates.reason());
    if (!read.ok()) {
      return absl::InternalError(
          absl::StrCat("read what coderd-api sent: ", read.status().message()));
    }
    snapshot.blackouts.push_back(*read);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<lifecycle::LifecycleCandidate> FromProto(const pb::LifecycleCandidate& message) {
  lifecycle::LifecycleCandidate candidate;
  ASSIGN_OR_RETURN(candidate.workspace_id, lifecycle::WorkspaceId::Parse(message.workspace_id()));
  lifecycle::LifecycleSnapshot& s = candidate.snapshot;
  const auto owner = FromProto(message.owner_status());
  if (!owner) return Unknown("owner_status", message.owner_status());
  const auto transition = events::FromProto(message.latest_transition());
  if (!transition) return Unknown("latest_transition", message.latest_transition());
  const auto status = events::FromProto(message.latest_status());
  if (!status) return Unknown("latest_status", message.latest_status());
  s.owner_status = *owner;
  s.transition = *transition;
  s.job_status = *status;
  s.build_created_at = events::FromProto(message.latest_build_create_time());
  s.job_completed_at =
      Optional(message.has_latest_job_complete_time(), message.latest_job_complete_time());
  s.autostart_schedule = message.autostart_schedule();
  s.autostart_decided_until =
      Optional(message.has_autostart_decided_until_time(), message.autostart_decided_until_time());
  s.autostart_set_at = Optional(message.has_autostart_set_time(), message.autostart_set_time());
  s.deadline = Optional(message.has_deadline(), message.deadline());
  s.dormant_at = Optional(message.has_dormant_time(), message.dormant_time());
  s.deleting_at = Optional(message.has_deleting_time(), message.deleting_time());
  s.last_used_at = events::FromProto(message.last_used_time());
  s.policy = FromProto(message.template_());
  s.autostart_offset = events::FromProto(message.autostart_offset());
  s.autostart_skip_until =
      Optional(message.has_autostart_skip_until_time(), message.autostart_skip_until_time());
  RETURN_IF_ERROR(ReadBlackouts(message, s));
  if (message.has_failed_autostart()) {
    s.failed_autostart = {events::FromProto(message.failed_autostart().nominal_time()),
                          message.failed_autostart().attempt()};
  }
  s.autostop_reminded = message.autostop_reminded();
  return candidate;
}

absl::StatusOr<lifecycle::LifecycleResult> FromProto(const pb::LifecycleActionResult& message) {
  const auto outcome = FromProto(message.outcome());
  if (!outcome) return Unknown("outcome", message.outcome());
  lifecycle::LifecycleResult result{
      .outcome = *outcome, .reason = message.reason(), .detail = message.detail()};
  if (!message.build_id().empty()) {
    ASSIGN_OR_RETURN(result.build_id, lifecycle::BuildId::Parse(message.build_id()));
  }
  return result;
}

pb::LifecycleAction ToProto(const lifecycle::LifecycleProposal& proposal) {
  pb::LifecycleAction action;
  action.set_workspace_id(proposal.workspace_id.ToString());
  action.set_kind(ToProto(proposal.kind));
  *action.mutable_nominal_time() = events::ToProto(proposal.nominal_time);
  action.set_attempt(proposal.attempt);
  return action;
}

}  // namespace coder::scheduler
