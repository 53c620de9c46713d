#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coder/api/v1/build.pb.h"
#include "coder/api/v1/workspace.pb.h"
#include "libs/lifecycle/planned_actions.h"
#include "libs/storage/workspace_records.h"

namespace coder::api {

/// Workspaces, builds and outcomes as the API shows them.
v1::Workspace WorkspaceToProto(const storage::WorkspaceRecord& record);
v1::WorkspaceBuild BuildToProto(const storage::BuildRecord& record);
v1::ScheduleOutcome OutcomeToProto(const storage::OutcomeRecord& record);
v1::PlannedAction PlannedToProto(const lifecycle::PlannedAction& planned);

/// The values of a build's parameters, in their order.
std::vector<lifecycle::NameValue> ParametersFromProto(
    const google::protobuf::RepeatedPtrField<v1::BuildParameter>& parameters);

/// Nothing for unspecified. INVALID_ARGUMENT, with a violation of `field`, for numbers this server
/// does not know.
absl::StatusOr<std::optional<lifecycle::AutomaticUpdates>> AutomaticUpdatesFromProto(
    absl::string_view field, v1::AutomaticUpdates value);

/// INVALID_ARGUMENT, with a violation of `statuses`, for unspecified and for unknown numbers.
absl::StatusOr<lifecycle::WorkspaceStatus> WorkspaceStatusFromProto(v1::WorkspaceStatus value);

/// What `request` asks to change. INVALID_ARGUMENT with a violation of `update_mask` for an empty
/// mask or a path nobody may set, and of `workspace.etag` for a text that is no etag.
absl::StatusOr<storage::WorkspaceChange> ChangeFromProto(const v1::UpdateWorkspaceRequest& request);

}  // namespace coder::api
