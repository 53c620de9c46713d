#include "services/coderd-api/workspace_service.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/lifecycle/planned_actions.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_workspace.h"
#include "services/coderd-api/request_fields.h"
#include "services/coderd-api/workspace_access.h"

namespace coder::api {
namespace {

using auth::Action;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;
using lifecycle::UserId;
using lifecycle::WorkspaceId;
using storage::WorkspaceRecord;

constexpr int kDefaultOutcomes = 10;
constexpr int kMaxOutcomes = 100;

template <typename Id>
absl::Status SetId(absl::string_view field, const std::string& text, std::optional<Id>& id) {
  if (text.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(id, IdField<Id>(field, text));
  return absl::OkStatus();
}

// Everything the list is narrowed by.
std::string FilterText(const CallContext& call, v1::ListWorkspacesRequest request) {
  request.clear_page_size();
  request.clear_page_token();
  return absl::StrCat(call.caller->Identity(), "|", request.SerializeAsString());
}

void Explain(const WorkspaceRecord& record, const std::vector<storage::OutcomeRecord>& outcomes,
             const storage::ScheduleView& view, v1::ExplainScheduleResponse& response) {
  for (const storage::OutcomeRecord& outcome : outcomes) {
    *response.add_outcomes() = OutcomeToProto(outcome);
  }
  for (const auto& planned : lifecycle::PlannedActions(view.snapshot, view.now)) {
    *response.add_planned() = PlannedToProto(planned);
  }
  *response.mutable_spread_offset() = events::ToProto(view.snapshot.autostart_offset);
  *response.mutable_catch_up_window() = events::ToProto(view.snapshot.policy.autostart_catch_up);
  *response.mutable_outcome_retention() = events::ToProto(storage::kOutcomeRetention);
  if (record.next_start_at) {
    *response.mutable_next_start_time() = events::ToProto(*record.next_start_at);
  }
  if (record.status() == lifecycle::WorkspaceStatus::kRunning && record.latest_build.deadline) {
    *response.mutable_next_stop_time() = events::ToProto(*record.latest_build.deadline);
  }
}

}  // namespace

absl::StatusOr<WorkspaceRecord> WorkspaceService::Load(const CallContext& call,
                                                       absl::string_view field,
                                                       const std::string& id, Action action) {
  return LoadWorkspace(parts_.workspaces, call, field, id, action);
}

absl::StatusOr<UserId> WorkspaceService::OwnerOf(const CallContext& call,
                                                 const std::string& owner) {
  if (owner.empty() || owner == "me") return call.caller->user_id;
  ASSIGN_OR_RETURN(const storage::OwnerRecord found,
                   AsAbsent(parts_.workspaces.FindOwner(owner, call.deadline),
                            absl::StrCat("user \"", owner, "\"")));
  return found.id;
}

absl::StatusOr<storage::NewWorkspace> WorkspaceService::Decode(
    const CallContext& call, const v1::CreateWorkspaceRequest& request) {
  std::optional<TemplateId> template_id;
  std::optional<TemplateVersionId> version;
  RETURN_IF_ERROR(SetId("template_id", request.template_id(), template_id));
  RETURN_IF_ERROR(SetId("template_version_id", request.template_version_id(), version));
  if (template_id.has_value() == version.has_value()) {
    return InvalidField("template_id", "give either this or template_version_id");
  }
  storage::NewWorkspace workspace;
  ASSIGN_OR_RETURN(workspace.request, RequestKeyOf(call, request.request_id(), request));
  ASSIGN_OR_RETURN(const auto updates,
                   AutomaticUpdatesFromProto("automatic_updates", request.automatic_updates()));
  workspace.automatic_updates = updates.value_or(lifecycle::AutomaticUpdates::kNever);
  workspace.initiator = call.caller->user_id;
  workspace.name = request.name();
  workspace.version_given = version.has_value();
  workspace.parameters = ParametersFromProto(request.parameters());
  workspace.autostart_schedule = request.autostart_schedule();
  if (request.has_ttl()) workspace.ttl = events::FromProto(request.ttl());
  const std::string words =
      absl::StrCat(version ? "template version \"" : "template \"",
                   version ? request.template_version_id() : request.template_id(), "\"");
  ASSIGN_OR_RETURN(
      workspace.from,
      AsAbsent(parts_.workspaces.FindTemplate(template_id, version, call.deadline), words));
  const auth::ObjectRef from{.organization_id = workspace.from.organization};
  RETURN_IF_ERROR(call.Authorize(Action::kUseTemplate, from, words));
  workspace.may_update_template = auth::IsAllowed(*call.caller, Action::kUpdateTemplate, from);
  ASSIGN_OR_RETURN(workspace.owner, OwnerOf(call, request.owner()));
  return workspace;
}

absl::Status WorkspaceService::AuthorizeCreate(const CallContext& call,
                                               const v1::CreateWorkspaceRequest& request,
                                               const storage::NewWorkspace& workspace) {
  absl::Status allowed =
      call.Authorize(Action::kCreateWorkspace,
                     {.organization_id = workspace.from.organization, .owner_id = workspace.owner},
                     absl::StrCat("organization \"", workspace.from.organization.ToString(), "\""));
  // Whoever may not know of a user must not learn from the refusal that there is one.
  if (!allowed.ok() &&
      !auth::IsAllowed(*call.caller, Action::kReadUser, {.owner_id = workspace.owner})) {
    return auth::NotFound(absl::StrCat("user \"", request.owner(), "\""));
  }
  return allowed;
}

grpc::Status WorkspaceService::CreateWorkspace(grpc::ServerContext* context,
                                               const v1::CreateWorkspaceRequest* request,
                                               v1::CreateWorkspaceResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.WorkspaceService/CreateWorkspace",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const storage::NewWorkspace workspace,
                                       Decode(call, *request));
                      RETURN_IF_ERROR(AuthorizeCreate(call, *request, workspace));
                      ASSIGN_OR_RETURN(const WorkspaceRecord made,
                                       parts_.workspaces.Create(workspace, call.deadline));
                      parts_.poker.Poke();
                      parts_.job_queued(made.organization);
                      call.Concerns("workspace", made.id.ToString(), made.name);
                      *response->mutable_workspace() = WorkspaceToProto(made);
                      return absl::OkStatus();
                    });
}

absl::StatusOr<WorkspaceRecord> WorkspaceService::Find(const CallContext& call,
                                                       const v1::GetWorkspaceRequest& request) {
  const std::string& which = request.workspace();
  const absl::StatusOr<WorkspaceId> id = WorkspaceId::Parse(which);
  if (id.ok()) return parts_.workspaces.Get(*id, call.deadline);
  const size_t slash = which.find('/');
  const std::string owner = slash == std::string::npos ? "me" : which.substr(0, slash);
  const std::string name = slash == std::string::npos ? which : which.substr(slash + 1);
  if (owner.empty() || name.empty()) {
    return InvalidField("workspace", "give an id, <owner>/<name> or a name of your own");
  }
  return parts_.workspaces.GetByName(owner == "me" ? call.caller->username : owner, name,
                                     request.include_deleted(), call.deadline);
}

grpc::Status WorkspaceService::GetWorkspace(grpc::ServerContext* context,
                                            const v1::GetWorkspaceRequest* request,
                                            v1::GetWorkspaceResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.WorkspaceService/GetWorkspace", *request,
                    [&](const CallContext& call) -> absl::Status {
                      const std::string words = WorkspaceWords(request->workspace());
                      ASSIGN_OR_RETURN(const WorkspaceRecord record,
                                       AsAbsent(Find(call, *request), words));
                      if (record.deleted && !request->include_deleted())
                        return auth::NotFound(words);
                      RETURN_IF_ERROR(call.Authorize(Action::kReadWorkspace, RefOf(record), words));
                      *response->mutable_workspace() = WorkspaceToProto(record);
                      return absl::OkStatus();
                    });
}

absl::StatusOr<storage::WorkspaceFilter> WorkspaceService::Decode(
    const CallContext& call, const v1::ListWorkspacesRequest& request) {
  storage::WorkspaceFilter filter;
  filter.scope = auth::ScopeOf(*call.caller, Action::kReadWorkspace);
  filter.caller = call.caller->user_id;
  RETURN_IF_ERROR(SetId("template_id", request.template_id(), filter.template_id));
  RETURN_IF_ERROR(SetId("organization_id", request.organization_id(), filter.organization));
  for (const int status : request.statuses()) {
    ASSIGN_OR_RETURN(const auto value,
                     WorkspaceStatusFromProto(static_cast<v1::WorkspaceStatus>(status)));
    filter.statuses.push_back(value);
  }
  filter.search = request.search();
  if (!request.owner().empty()) {
    // Nobody's workspaces are none, and so are those of somebody the caller may not see.
    const absl::StatusOr<UserId> owner = OwnerOf(call, request.owner());
    if (!owner.ok() && !absl::IsNotFound(owner.status())) return owner.status();
    filter.owner = owner.value_or(UserId());
  }
  return filter;
}

grpc::Status WorkspaceService::ListWorkspaces(grpc::ServerContext* context,
                                              const v1::ListWorkspacesRequest* request,
                                              v1::ListWorkspacesResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.WorkspaceService/ListWorkspaces", *request,
      [&](const CallContext& call) -> absl::Status {
        const std::string filter_text = FilterText(call, *request);
        ASSIGN_OR_RETURN(const std::string last,
                         storage::DecodePageToken(filter_text, request->page_token()));
        std::optional<WorkspaceId> after;
        RETURN_IF_ERROR(SetId("page_token", last, after));
        ASSIGN_OR_RETURN(const storage::WorkspaceFilter filter, Decode(call, *request));
        const int size = storage::ClampPageSize(request->page_size());
        ASSIGN_OR_RETURN(std::vector<WorkspaceRecord> records,
                         parts_.workspaces.List(filter, after, size + 1, call.deadline));
        if (records.size() > static_cast<size_t>(size)) {
          records.pop_back();
          response->set_next_page_token(
              storage::EncodePageToken(filter_text, records.back().id.ToString()));
        }
        for (const WorkspaceRecord& record : records) {
          *response->add_workspaces() = WorkspaceToProto(record);
        }
        return absl::OkStatus();
      });
}

grpc::Status WorkspaceService::UpdateWorkspace(grpc::ServerContext* context,
                                               const v1::UpdateWorkspaceRequest* request,
                                               v1::UpdateWorkspaceResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.WorkspaceService/UpdateWorkspace", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const WorkspaceRecord record,
            Load(call, "workspace.id", request->workspace().id(), Action::kUpdateWorkspace));
        ASSIGN_OR_RETURN(const storage::WorkspaceChange change, ChangeFromProto(*request));
        ASSIGN_OR_RETURN(const WorkspaceRecord changed,
                         parts_.workspaces.Update(record.id, change, call.deadline));
        *response->mutable_workspace() = WorkspaceToProto(changed);
        return absl::OkStatus();
      });
}

grpc::Status WorkspaceService::ExtendWorkspace(grpc::ServerContext* context,
                                               const v1::ExtendWorkspaceRequest* request,
                                               v1::ExtendWorkspaceResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.WorkspaceService/ExtendWorkspace", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const WorkspaceRecord record,
            Load(call, "workspace_id", request->workspace_id(), Action::kUpdateWorkspace));
        if (!request->has_deadline()) return InvalidField("deadline", "say until when");
        ASSIGN_OR_RETURN(const WorkspaceRecord extended,
                         parts_.workspaces.Extend(record.id, events::FromProto(request->deadline()),
                                                  call.deadline));
        *response->mutable_workspace() = WorkspaceToProto(extended);
        return absl::OkStatus();
      });
}

grpc::Status WorkspaceService::SetWorkspaceDormant(grpc::ServerContext* context,
                                                   const v1::SetWorkspaceDormantRequest* request,
                                                   v1::SetWorkspaceDormantResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.WorkspaceService/SetWorkspaceDormant",
                    *request, [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const WorkspaceRecord record,
                                       Load(call, "workspace_id", request->workspace_id(),
                                            Action::kUpdateWorkspace));
                      call.Note("dormant", request->dormant() ? "true" : "false");
                      ASSIGN_OR_RETURN(const WorkspaceRecord changed,
                                       parts_.workspaces.SetDormant(record.id, request->dormant(),
                                                                    call.deadline));
                      *response->mutable_workspace() = WorkspaceToProto(changed);
                      return absl::OkStatus();
                    });
}

grpc::Status WorkspaceService::ExplainSchedule(grpc::ServerContext* context,
                                               const v1::ExplainScheduleRequest* request,
                                               v1::ExplainScheduleResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.WorkspaceService/ExplainSchedule", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const WorkspaceRecord record,
            Load(call, "workspace_id", request->workspace_id(), Action::kReadWorkspace));
        const int limit = request->limit() == 0 ? kDefaultOutcomes
                                                : std::clamp(request->limit(), 1, kMaxOutcomes);
        ASSIGN_OR_RETURN(const std::vector<storage::OutcomeRecord> outcomes,
                         parts_.workspaces.ListOutcomes(record.id, limit, call.deadline));
        ASSIGN_OR_RETURN(const storage::ScheduleView view,
                         AsAbsent(parts_.schedules.View(record.id, call.deadline),
                                  WorkspaceWords(request->workspace_id())));
        Explain(record, outcomes, view, *response);
        return absl::OkStatus();
      });
}

}  // namespace coder::api
