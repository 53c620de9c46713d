#include "services/coderd-api/build_service.h"

#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/events/build_enums.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/proto_convert_workspace.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using auth::Action;
using lifecycle::BuildId;
using lifecycle::BuildReason;
using lifecycle::BuildTransition;
using lifecycle::JobStatus;
using lifecycle::WorkspaceId;
using storage::BuildRecord;
using storage::WorkspaceRecord;

std::string Words(const BuildId& id) { return absl::StrCat("build \"", id.ToString(), "\""); }

// An absent object reads like a hidden one.
template <typename T>
absl::StatusOr<T> AsAbsent(absl::StatusOr<T> found, absl::string_view words) {
  if (absl::IsNotFound(found.status())) return auth::NotFound(words);
  return found;
}

auth::ObjectRef RefOf(const BuildRecord& build) {
  return {.organization_id = build.organization, .owner_id = build.owner};
}

Action ActionOf(BuildTransition transition) {
  return transition == BuildTransition::kDelete ? Action::kDeleteWorkspace
                                                : Action::kBuildWorkspace;
}

storage::AuditAction AuditActionOf(BuildTransition transition) {
  switch (transition) {
    case BuildTransition::kStart:
      return storage::AuditAction::kStart;
    case BuildTransition::kStop:
      return storage::AuditAction::kStop;
    case BuildTransition::kDelete:
      break;
  }
  return storage::AuditAction::kDelete;
}

absl::StatusOr<BuildReason> ReasonOf(events::v1::BuildReason value) {
  if (value == events::v1::BUILD_REASON_UNSPECIFIED) return BuildReason::kInitiator;
  const std::optional<BuildReason> reason = events::FromProto(value);
  if (reason) {
    switch (*reason) {
      case BuildReason::kInitiator:
      case BuildReason::kDashboard:
      case BuildReason::kCli:
      case BuildReason::kSshConnection:
      case BuildReason::kVscodeConnection:
      case BuildReason::kJetbrainsConnection:
        return *reason;
      default:
        break;
    }
  }
  return InvalidField("reason",
                      "is for the scheduler; give INITIATOR, DASHBOARD, CLI or a connection");
}

absl::StatusOr<std::optional<JobStatus>> ExpectedStatus(events::v1::JobStatus value) {
  switch (value) {
    case events::v1::JOB_STATUS_UNSPECIFIED:
      return std::nullopt;
    case events::v1::JOB_STATUS_PENDING:
      return JobStatus::kPending;
    case events::v1::JOB_STATUS_RUNNING:
      return JobStatus::kRunning;
    default:
      return InvalidField("expect_status", "give PENDING, RUNNING or nothing");
  }
}

absl::Status CheckMayCancel(const CallContext& call, const BuildRecord& build) {
  if (build.allow_user_cancel || auth::IsAllowed(*call.caller, Action::kUpdateTemplate,
                                                 {.organization_id = build.organization})) {
    return absl::OkStatus();
  }
  return status::WithReason(
      absl::PermissionDeniedError(
          absl::StrCat("cancel ", Words(build.id),
                       ": the template forbids its users to cancel; ask a template administrator")),
      "CANCEL_FORBIDDEN");
}

}  // namespace

absl::StatusOr<WorkspaceRecord> BuildService::LoadWorkspace(const CallContext& call,
                                                            const std::string& id_text,
                                                            Action action) {
  ASSIGN_OR_RETURN(const WorkspaceId id, IdField<WorkspaceId>("workspace_id", id_text));
  const std::string words = absl::StrCat("workspace \"", id_text, "\"");
  ASSIGN_OR_RETURN(WorkspaceRecord record,
                   AsAbsent(parts_.workspaces.Get(id, call.deadline), words));
  call.Concerns("workspace", id_text, record.name);
  RETURN_IF_ERROR(call.Authorize(action, RefOf(record.latest_build), words));
  return record;
}

absl::StatusOr<BuildRecord> BuildService::LoadBuild(const CallContext& call,
                                                    absl::string_view field,
                                                    const std::string& id_text, Action action) {
  ASSIGN_OR_RETURN(const BuildId id, IdField<BuildId>(field, id_text));
  ASSIGN_OR_RETURN(BuildRecord record, AsAbsent(parts_.builds.Get(id, call.deadline), Words(id)));
  call.Concerns("workspace_build", id_text,
                absl::StrCat(record.workspace_name, "/", record.number));
  RETURN_IF_ERROR(call.Authorize(action, RefOf(record), Words(id)));
  return record;
}

absl::StatusOr<storage::BuildOrder> BuildService::Decode(
    const CallContext& call, const v1::CreateWorkspaceBuildRequest& request) {
  const std::optional<BuildTransition> transition = events::FromProto(request.transition());
  if (!transition) return InvalidField("transition", "give START, STOP or DELETE");
  call.Means(AuditActionOf(*transition));
  storage::BuildOrder order;
  order.transition = *transition;
  ASSIGN_OR_RETURN(order.reason, ReasonOf(request.reason()));
  if (!request.template_version_id().empty()) {
    ASSIGN_OR_RETURN(order.version, IdField<lifecycle::TemplateVersionId>(
                                        "template_version_id", request.template_version_id()));
  }
  ASSIGN_OR_RETURN(order.request, RequestKeyOf(call, request.request_id(), request));
  ASSIGN_OR_RETURN(const WorkspaceRecord workspace,
                   LoadWorkspace(call, request.workspace_id(), ActionOf(*transition)));
  const auth::ObjectRef from{.organization_id = workspace.organization};
  if (request.debug()) {
    RETURN_IF_ERROR(
        call.Authorize(Action::kUpdateTemplate, from,
                       absl::StrCat("template \"", workspace.template_id.ToString(), "\"")));
  }
  order.workspace = workspace.id;
  order.initiator = call.caller->user_id;
  order.orphan = request.orphan();
  order.debug = request.debug();
  order.may_update_template = auth::IsAllowed(*call.caller, Action::kUpdateTemplate, from);
  order.parameters = ParametersFromProto(request.parameters());
  return order;
}

grpc::Status BuildService::CreateWorkspaceBuild(grpc::ServerContext* context,
                                                const v1::CreateWorkspaceBuildRequest* request,
                                                v1::CreateWorkspaceBuildResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.BuildService/CreateWorkspaceBuild",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const storage::BuildOrder order, Decode(call, *request));
                      ASSIGN_OR_RETURN(const BuildRecord build,
                                       parts_.builds.Create(order, call.deadline));
                      parts_.poker.Poke();
                      parts_.job_queued(build.organization);
                      call.Note("build_id", build.id.ToString());
                      call.Note("build_number", absl::StrCat(build.number));
                      *response->mutable_build() = BuildToProto(build);
                      return absl::OkStatus();
                    });
}

absl::StatusOr<BuildRecord> BuildService::Find(const CallContext& call,
                                               const v1::GetWorkspaceBuildRequest& request) {
  if (!request.id().empty()) return LoadBuild(call, "id", request.id(), Action::kReadWorkspace);
  ASSIGN_OR_RETURN(const WorkspaceRecord workspace,
                   LoadWorkspace(call, request.workspace_id(), Action::kReadWorkspace));
  return AsAbsent(parts_.builds.GetByNumber(workspace.id, request.build_number(), call.deadline),
                  absl::StrCat("build ", request.build_number(), " of workspace \"",
                               request.workspace_id(), "\""));
}

grpc::Status BuildService::GetWorkspaceBuild(grpc::ServerContext* context,
                                             const v1::GetWorkspaceBuildRequest* request,
                                             v1::GetWorkspaceBuildResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.BuildService/GetWorkspaceBuild", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const BuildRecord build, Find(call, *request));
                      *response->mutable_build() = BuildToProto(build);
                      return absl::OkStatus();
                    });
}

grpc::Status BuildService::ListWorkspaceBuilds(grpc::ServerContext* context,
                                               const v1::ListWorkspaceBuildsRequest* request,
                                               v1::ListWorkspaceBuildsResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.BuildService/ListWorkspaceBuilds", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const WorkspaceRecord workspace,
                         LoadWorkspace(call, request->workspace_id(), Action::kReadWorkspace));
        const std::string filter = absl::StrCat("builds of ", workspace.id.ToString());
        ASSIGN_OR_RETURN(const std::string last,
                         storage::DecodePageToken(filter, request->page_token()));
        std::optional<int32_t> below;
        if (!last.empty() && !absl::SimpleAtoi(last, &below.emplace())) {
          return InvalidField("page_token", "is not one this server gave");
        }
        const int size = storage::ClampPageSize(request->page_size());
        ASSIGN_OR_RETURN(std::vector<BuildRecord> builds,
                         parts_.builds.List(workspace.id, below, size + 1, call.deadline));
        if (builds.size() > static_cast<size_t>(size)) {
          builds.pop_back();
          response->set_next_page_token(
              storage::EncodePageToken(filter, absl::StrCat(builds.back().number)));
        }
        for (const BuildRecord& build : builds) *response->add_builds() = BuildToProto(build);
        return absl::OkStatus();
      });
}

grpc::Status BuildService::CancelWorkspaceBuild(grpc::ServerContext* context,
                                                const v1::CancelWorkspaceBuildRequest* request,
                                                v1::CancelWorkspaceBuildResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.BuildService/CancelWorkspaceBuild",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const std::optional<JobStatus> expected,
                                       ExpectedStatus(request->expect_status()));
                      ASSIGN_OR_RETURN(const BuildRecord build, LoadBuild(call, "id", request->id(),
                                                                          Action::kBuildWorkspace));
                      RETURN_IF_ERROR(CheckMayCancel(call, build));
                      ASSIGN_OR_RETURN(const BuildRecord canceled,
                                       parts_.builds.Cancel(build.id, expected, call.deadline));
                      parts_.poker.Poke();
                      parts_.job_ended(canceled.job.id);
                      *response->mutable_build() = BuildToProto(canceled);
                      return absl::OkStatus();
                    });
}

grpc::Status BuildService::ListWorkspaceBuildParameters(
    grpc::ServerContext* context, const v1::ListWorkspaceBuildParametersRequest* request,
    v1::ListWorkspaceBuildParametersResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.BuildService/ListWorkspaceBuildParameters",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const BuildRecord build,
                          LoadBuild(call, "build_id", request->build_id(), Action::kReadWorkspace));
                      ASSIGN_OR_RETURN(const std::vector<lifecycle::NameValue> parameters,
                                       parts_.builds.ListParameters(build.id, call.deadline));
                      for (const lifecycle::NameValue& parameter : parameters) {
                        v1::BuildParameter& out = *response->add_parameters();
                        out.set_name(parameter.name);
                        out.set_value(parameter.value);
                      }
                      return absl::OkStatus();
                    });
}

grpc::Status BuildService::ListWorkspaceBuildResources(
    grpc::ServerContext* context, const v1::ListWorkspaceBuildResourcesRequest* request,
    v1::ListWorkspaceBuildResourcesResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.BuildService/ListWorkspaceBuildResources",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(
                          const BuildRecord build,
                          LoadBuild(call, "build_id", request->build_id(), Action::kReadWorkspace));
                      ASSIGN_OR_RETURN(const std::vector<storage::ResourceView> resources,
                                       parts_.builds.ListResources(build.job.id, call.deadline));
                      for (const storage::ResourceView& resource : resources) {
                        *response->add_resources() = ResourceViewToProto(resource);
                      }
                      return absl::OkStatus();
                    });
}

grpc::Status BuildService::ResolveLateState(grpc::ServerContext* context,
                                            const v1::ResolveLateStateRequest* request,
                                            v1::ResolveLateStateResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.BuildService/ResolveLateState", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const BuildRecord build,
                         LoadBuild(call, "build_id", request->build_id(), Action::kReadWorkspace));
        RETURN_IF_ERROR(
            call.Authorize(Action::kUpdateTemplate, {.organization_id = build.organization},
                           absl::StrCat("template \"", build.template_id.ToString(), "\"")));
        ASSIGN_OR_RETURN(const BuildRecord resolved,
                         parts_.builds.ResolveLateState(build.id, request->adopt(), call.deadline));
        parts_.poker.Poke();
        *response->mutable_build() = BuildToProto(resolved);
        return absl::OkStatus();
      });
}

}  // namespace coder::api
