#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/coderctl/session.h"
#include "coder/api/v1/organization.pb.h"
#include "coder/api/v1/template.pb.h"
#include "coder/api/v1/workspace.pb.h"
#include "coder/events/v1/build_event.pb.h"

namespace coder::cli {

/// A workspace by id, `owner/name` or own name. NOT_FOUND.
absl::StatusOr<api::v1::Workspace> FindWorkspace(const Session& session, const std::string& name);

/// A template by id or by name in `organization` ("" is the default one). NOT_FOUND.
absl::StatusOr<api::v1::Template> FindTemplate(const Session& session, const std::string& name,
                                               const std::string& organization);

/// An organization by id, name or "" for the default one. NOT_FOUND.
absl::StatusOr<api::v1::Organization> FindOrganization(const Session& session,
                                                       const std::string& name);

/// "start", "stop", "delete".
std::string TransitionName(events::v1::BuildTransition transition);

/// "pending", "running", ...
std::string JobStatusName(events::v1::JobStatus status);

/// "autostart", "cli", ...
std::string ReasonName(events::v1::BuildReason reason);

/// "running", "stopped", ...
std::string WorkspaceStatusName(api::v1::WorkspaceStatus status);

/// Splits `name=value`. INVALID_ARGUMENT without an equals sign or with an empty name.
absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& text);

}  // namespace coder::cli
