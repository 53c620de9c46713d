#include "services/coderd-api/proto_convert_workspace.h"

#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using lifecycle::AutomaticUpdates;
using lifecycle::WorkspaceStatus;

// Both sides list their values in the same order, the public one after its unspecified zero.
constexpr int kFirst = static_cast<int>(v1::WORKSPACE_STATUS_PENDING);
static_assert(kFirst == 1);
static_assert(static_cast<int>(WorkspaceStatus::kRunning) + 1 == v1::WORKSPACE_STATUS_RUNNING);
static_assert(static_cast<int>(WorkspaceStatus::kFailed) + 1 == v1::WORKSPACE_STATUS_FAILED);
static_assert(static_cast<int>(WorkspaceStatus::kDeleted) + 1 == v1::WORKSPACE_STATUS_DELETED);

v1::AutomaticUpdates ToProto(AutomaticUpdates value) {
  return value == AutomaticUpdates::kAlways ? v1::AUTOMATIC_UPDATES_ALWAYS
                                            : v1::AUTOMATIC_UPDATES_NEVER;
}

void FillTimes(const storage::WorkspaceRecord& record, v1::Workspace& out) {
  *out.mutable_last_use_time() = events::ToProto(record.last_used_at);
  *out.mutable_create_time() = events::ToProto(record.created_at);
  *out.mutable_update_time() = events::ToProto(record.updated_at);
  if (record.next_start_at) {
    *out.mutable_next_start_time() = events::ToProto(*record.next_start_at);
  }
  if (record.autostart_skip_until) {
    *out.mutable_autostart_skip_until_time() = events::ToProto(*record.autostart_skip_until);
  }
  if (record.ttl) *out.mutable_ttl() = events::ToProto(*record.ttl);
  if (record.dormant_at) *out.mutable_dormant_time() = events::ToProto(*record.dormant_at);
  if (record.deleting_at) *out.mutable_deleting_time() = events::ToProto(*record.deleting_at);
}

absl::Status SetPath(const std::string& path, const v1::Workspace& from,
                     storage::WorkspaceChange& change) {
  if (path == "name") {
    change.name = from.name();
  } else if (path == "autostart_schedule") {
    change.autostart_schedule = from.autostart_schedule();
  } else if (path == "ttl") {
    change.set_ttl = true;
    if (from.has_ttl()) change.ttl = events::FromProto(from.ttl());
  } else if (path == "automatic_updates") {
    ASSIGN_OR_RETURN(const auto updates, AutomaticUpdatesFromProto("workspace.automatic_updates",
                                                                   from.automatic_updates()));
    change.automatic_updates = updates.value_or(AutomaticUpdates::kNever);
  } else {
    return InvalidField(
        "update_mask",
        absl::StrCat("\"", path, "\" cannot be changed here; name, autostart_schedule, ttl and ",
                     "automatic_updates can"));
  }
  return absl::OkStatus();
}

}  // namespace

v1::Workspace WorkspaceToProto(const storage::WorkspaceRecord& record) {
  v1::Workspace out;
  out.set_id(record.id.ToString());
  out.set_owner_id(record.owner.ToString());
  out.set_owner_name(record.owner_name);
  out.set_organization_id(record.organization.ToString());
  out.set_organization_name(record.organization_name);
  out.set_template_id(record.template_id.ToString());
  out.set_template_name(record.template_name);
  out.set_name(record.name);
  out.set_status(static_cast<v1::WorkspaceStatus>(static_cast<int>(record.status()) + kFirst));
  *out.mutable_latest_build() = BuildToProto(record.latest_build);
  out.set_outdated(record.outdated);
  out.set_autostart_schedule(record.autostart_schedule);
  out.set_automatic_updates(ToProto(record.automatic_updates));
  FillTimes(record, out);
  out.set_etag(absl::StrCat(record.revision));
  return out;
}

v1::WorkspaceBuild BuildToProto(const storage::BuildRecord& record) {
  v1::WorkspaceBuild out;
  out.set_id(record.id.ToString());
  out.set_workspace_id(record.workspace.ToString());
  out.set_workspace_name(record.workspace_name);
  out.set_owner_id(record.owner.ToString());
  out.set_owner_name(record.owner_name);
  out.set_build_number(record.number);
  out.set_template_version_id(record.version.ToString());
  out.set_template_version_name(record.version_name);
  out.set_transition(events::ToProto(record.transition));
  out.set_reason(events::ToProto(record.reason));
  out.set_initiator_id(record.initiator.ToString());
  out.set_initiator_name(record.initiator_name);
  *out.mutable_job() = JobViewToProto(record.job);
  if (record.deadline) *out.mutable_deadline() = events::ToProto(*record.deadline);
  if (record.max_deadline) *out.mutable_max_deadline() = events::ToProto(*record.max_deadline);
  out.set_late_state_pending(record.late_state_pending);
  *out.mutable_create_time() = events::ToProto(record.created_at);
  return out;
}

v1::ScheduleOutcome OutcomeToProto(const storage::OutcomeRecord& record) {
  v1::ScheduleOutcome out;
  out.set_kind(record.kind);
  *out.mutable_nominal_time() = events::ToProto(record.nominal_at);
  out.set_attempt(record.attempt);
  out.set_outcome(record.outcome);
  out.set_reason(record.reason);
  out.set_detail(record.detail);
  if (record.build) out.set_build_id(record.build->ToString());
  *out.mutable_decide_time() = events::ToProto(record.decided_at);
  if (record.build_status) out.set_build_status(events::ToProto(*record.build_status));
  out.set_build_number(record.build_number);
  return out;
}

v1::PlannedAction PlannedToProto(const lifecycle::PlannedAction& planned) {
  v1::PlannedAction out;
  out.set_kind(std::string(lifecycle::ToString(planned.kind)));
  *out.mutable_nominal_time() = events::ToProto(planned.nominal_time);
  *out.mutable_act_time() = events::ToProto(planned.act_time);
  out.set_attempt(planned.attempt);
  out.set_skip_reason(planned.skip_reason);
  out.set_detail(planned.detail);
  return out;
}

std::vector<lifecycle::NameValue> ParametersFromProto(
    const google::protobuf::RepeatedPtrField<v1::BuildParameter>& parameters) {
  std::vector<lifecycle::NameValue> values;
  for (const v1::BuildParameter& parameter : parameters) {
    values.push_back({parameter.name(), parameter.value()});
  }
  return values;
}

absl::StatusOr<std::optional<AutomaticUpdates>> AutomaticUpdatesFromProto(
    absl::string_view field, v1::AutomaticUpdates value) {
  switch (value) {
    case v1::AUTOMATIC_UPDATES_UNSPECIFIED:
      return std::nullopt;
    case v1::AUTOMATIC_UPDATES_NEVER:
      return AutomaticUpdates::kNever;
    case v1::AUTOMATIC_UPDATES_ALWAYS:
      return AutomaticUpdates::kAlways;
    default:
      return InvalidField(field, absl::StrCat(static_cast<int>(value), " is no known value"));
  }
}

absl::StatusOr<WorkspaceStatus> WorkspaceStatusFromProto(v1::WorkspaceStatus value) {
  if (value < kFirst || value > v1::WORKSPACE_STATUS_DELETED) {
    return InvalidField("statuses",
                        absl::StrCat(static_cast<int>(value), " is no workspace status"));
  }
  return static_cast<WorkspaceStatus>(static_cast<int>(value) - kFirst);
}

absl::StatusOr<storage::WorkspaceChange> ChangeFromProto(
    const v1::UpdateWorkspaceRequest& request) {
  if (request.update_mask().paths().empty()) {
    return InvalidField("update_mask",
                        "is empty; name what to change: name, autostart_schedule, ttl or "
                        "automatic_updates");
  }
  storage::WorkspaceChange change;
  if (const std::string& etag = request.workspace().etag(); !etag.empty()) {
    int64_t revision = 0;
    if (!absl::SimpleAtoi(etag, &revision)) {
      return InvalidField("workspace.etag",
                          "is not one this server gave; read the workspace again");
    }
    change.expected_revision = revision;
  }
  for (const std::string& path : request.update_mask().paths()) {
    RETURN_IF_ERROR(SetPath(path, request.workspace(), change));
  }
  return change;
}

}  // namespace coder::api
