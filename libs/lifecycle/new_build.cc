#include "libs/lifecycle/new_build.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::lifecycle {
namespace {

absl::Status Refused(absl::string_view reason, absl::string_view why) {
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat("create workspace build: ", why)), reason);
}

absl::Status Denied(absl::string_view reason, absl::string_view why) {
  return status::WithReason(
      absl::PermissionDeniedError(absl::StrCat("create workspace build: ", why)), reason);
}

absl::Status CheckOrphan(const NewBuildContext& context) {
  if (!context.request.orphan) return absl::OkStatus();
  if (context.request.transition != BuildTransition::kDelete) {
    constexpr absl::string_view kWhy =
        "orphan forgets what the workspace runs, so it goes with a delete only; leave it out or "
        "delete the workspace";
    return status::WithFieldViolation(
        absl::InvalidArgumentError(absl::StrCat("create workspace build: ", kWhy)), "orphan", kWhy);
  }
  if (!context.may_update_template) {
    return Denied("ORPHAN_FORBIDDEN",
                  "orphan leaves resources running without an owner, so it needs the right to "
                  "update the template; ask a template administrator");
  }
  return absl::OkStatus();
}

absl::Status CheckLatest(const LatestBuild& latest) {
  if (!IsFinal(latest.status)) {
    return status::WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            "create workspace build: a workspace build is already active: build ", latest.number,
            " is ", ToString(latest.status), "; cancel it or wait for it to finish")),
        "BUILD_ACTIVE",
        {{"build_number", absl::StrCat(latest.number)},
         {"status", std::string(ToString(latest.status))}});
  }
  if (latest.late_state_pending) {
    return Refused("LATE_STATE",
                   absl::StrCat("build ", latest.number,
                                " left a state that arrived after its lease was lost; adopt or "
                                "dismiss it first"));
  }
  return absl::OkStatus();
}

absl::Status CheckWorkspace(const NewBuildContext& context) {
  const bool start = context.request.transition == BuildTransition::kStart;
  if (context.workspace.deleted) {
    return Refused("WORKSPACE_DELETED", "the workspace is deleted; create another one");
  }
  if (context.latest) {
    RETURN_IF_ERROR(CheckLatest(*context.latest));
  } else if (!start) {
    return Refused("NO_BUILD", absl::StrCat("nothing to ", ToString(context.request.transition),
                                            ": the workspace was never built; start it first"));
  } else if (!context.template_facts.deprecation_message.empty()) {
    return Refused(
        "TEMPLATE_DEPRECATED",
        absl::StrCat("the template is deprecated (", context.template_facts.deprecation_message,
                     ") and takes no new workspaces; choose another template"));
  }
  if (start && context.workspace.dormant) {
    return Refused("WORKSPACE_DORMANT",
                   "the workspace is dormant and cannot be started; activate it first");
  }
  return absl::OkStatus();
}

absl::Status CheckImport(const VersionFacts& version) {
  switch (version.import_status) {
    case JobStatus::kSucceeded:
      return absl::OkStatus();
    case JobStatus::kPending:
    case JobStatus::kRunning:
    case JobStatus::kCanceling:
      return Refused("IMPORT_NOT_FINISHED", absl::StrCat("the template version \"", version.name,
                                                         "\" is ", ToString(version.import_status),
                                                         "; wait for it to complete importing"));
    case JobStatus::kCanceled:
      return Refused("IMPORT_CANCELED",
                     absl::StrCat("the import of template version \"", version.name,
                                  "\" was canceled; import it again or use another version"));
    case JobStatus::kFailed:
      return Refused("IMPORT_FAILED",
                     absl::StrCat("the template version \"", version.name,
                                  "\" has failed to import: ", version.import_error,
                                  "; mend it and import it again, or use another version"));
  }
  return absl::InternalError("create workspace build: the import's status is unknown");
}

absl::Status CheckVersion(const NewBuildContext& context) {
  const VersionFacts& version = context.version;
  if (version.template_id != context.template_facts.id) {
    return Refused("VERSION_OF_OTHER_TEMPLATE",
                   absl::StrCat("the template version \"", version.name,
                                "\" does not belong to the workspace's template; choose one of its "
                                "versions"));
  }
  RETURN_IF_ERROR(CheckImport(version));
  // What runs has to be stopped and deleted by the version it was built from, whatever became of
  // it.
  if (context.request.transition != BuildTransition::kStart) return absl::OkStatus();
  if (version.archived) {
    return Refused("VERSION_ARCHIVED", absl::StrCat("the template version \"", version.name,
                                                    "\" is archived; use another version"));
  }
  const bool active = version.id == context.template_facts.active_version_id;
  if (context.template_facts.require_active_version && !active && !context.may_update_template) {
    return Denied("ACTIVE_VERSION_REQUIRED",
                  absl::StrCat("the template requires its active version, and \"", version.name,
                               "\" is another; leave the version out"));
  }
  return absl::OkStatus();
}

}  // namespace

TemplateVersionId SelectVersion(const BuildRequest& request, const WorkspaceFacts& workspace,
                                const TemplateFacts& template_facts,
                                const std::optional<LatestBuild>& latest) {
  if (request.version_id) return *request.version_id;
  const bool updates = template_facts.require_active_version ||
                       workspace.automatic_updates == AutomaticUpdates::kAlways;
  if (!latest || (updates && request.transition == BuildTransition::kStart)) {
    return template_facts.active_version_id;
  }
  return latest->version_id;
}

absl::StatusOr<NewBuildPlan> CheckNewBuild(const NewBuildContext& context) {
  RETURN_IF_ERROR(CheckOrphan(context));
  RETURN_IF_ERROR(CheckWorkspace(context));
  RETURN_IF_ERROR(CheckVersion(context));
  NewBuildPlan plan;
  if (context.latest) plan.build_number = context.latest->number + 1;
  plan.state =
      context.latest && !context.request.orphan ? StateSource::kPrevious : StateSource::kEmpty;
  plan.completes_at_once = context.request.orphan && !context.provisioner_available;
  ASSIGN_OR_RETURN(plan.parameters, ResolveParameters(context.version.parameters,
                                                      context.latest ? context.latest->parameters
                                                                     : std::vector<NameValue>{},
                                                      context.request.parameters));
  return plan;
}

}  // namespace coder::lifecycle
