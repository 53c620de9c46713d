#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/parameters.h"
#include "libs/lifecycle/types.h"

namespace coder::lifecycle {

/// What is asked of a workspace.
struct BuildRequest {
  BuildTransition transition = BuildTransition::kStart;
  /// The version to build from; absent: the one that SelectVersion finds.
  std::optional<TemplateVersionId> version_id;
  /// Forget the state and destroy nothing; only with a delete.
  bool orphan = false;
  std::vector<NameValue> parameters;
};

/// The workspace's newest build.
struct LatestBuild {
  int64_t number = 0;
  BuildTransition transition = BuildTransition::kStart;
  JobStatus status = JobStatus::kPending;
  TemplateVersionId version_id;
  std::vector<NameValue> parameters;
  /// A state arrived after its lease was lost and was neither adopted nor dismissed.
  bool late_state_pending = false;
};

struct TemplateFacts {
  TemplateId id;
  TemplateVersionId active_version_id;
  bool require_active_version = false;
  /// Empty unless deprecated.
  std::string deprecation_message;
};

struct WorkspaceFacts {
  bool deleted = false;
  bool dormant = false;
  AutomaticUpdates automatic_updates = AutomaticUpdates::kNever;
};

/// The version the build would run.
struct VersionFacts {
  TemplateVersionId id;
  /// Absent until a template is made from it.
  std::optional<TemplateId> template_id;
  std::string name;
  bool archived = false;
  JobStatus import_status = JobStatus::kPending;
  std::string import_error;
  std::vector<ParameterDefinition> parameters;
};

/// Everything the decision needs, read under the workspace's lock.
struct NewBuildContext {
  BuildRequest request;
  WorkspaceFacts workspace;
  TemplateFacts template_facts;
  VersionFacts version;
  /// Absent for a new workspace.
  std::optional<LatestBuild> latest;
  /// Whether the initiator may update the template.
  bool may_update_template = false;
  /// Whether a live provisioner's tags fit the build's job.
  bool provisioner_available = true;
};

/// The state a build starts from.
enum class StateSource : uint8_t { kEmpty, kPrevious };

struct NewBuildPlan {
  /// One more than the latest build's; 1 for a new workspace.
  int64_t build_number = 1;
  StateSource state = StateSource::kEmpty;
  std::vector<NameValue> parameters;
  /// An orphan delete with no provisioner to run it: it has succeeded as soon as it is written, and
  /// the workspace is deleted with it.
  bool completes_at_once = false;
};

/// The version a build runs: the one asked for; else, for a start of a workspace that always
/// updates or whose template requires it, the active one; else the latest build's; else the active
/// one.
TemplateVersionId SelectVersion(const BuildRequest& request, const WorkspaceFacts& workspace,
                                const TemplateFacts& template_facts,
                                const std::optional<LatestBuild>& latest);

/// The build to write, or why there is none:
/// * FAILED_PRECONDITION with reason WORKSPACE_DELETED, BUILD_ACTIVE (the latest build has not
///   ended; metadata build_number and status), LATE_STATE (decide over it first), NO_BUILD (a stop
///   or delete of a workspace never built), WORKSPACE_DORMANT (only starts), TEMPLATE_DEPRECATED
///   (only new workspaces), VERSION_OF_OTHER_TEMPLATE, VERSION_ARCHIVED (only starts),
///   IMPORT_NOT_FINISHED, IMPORT_CANCELED or IMPORT_FAILED;
/// * PERMISSION_DENIED with reason ACTIVE_VERSION_REQUIRED (a start from another version, by
/// someone
///   who may not update the template) or ORPHAN_FORBIDDEN;
/// * INVALID_ARGUMENT for an orphan that is not a delete, and what ResolveParameters refuses.
absl::StatusOr<NewBuildPlan> CheckNewBuild(const NewBuildContext& context);

}  // namespace coder::lifecycle
