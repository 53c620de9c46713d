#include "cli/coderctl/scaletest/fleet.h"

#include "absl/strings/str_cat.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/scaletest/crew.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

using api::v1::BuildService;
using api::v1::UserService;
using api::v1::WorkspaceService;

absl::Status Ended(const ObservedBuild& build) {
  if (build.status == events::v1::JOB_STATUS_SUCCEEDED) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("build ", build.number, " ", JobStatusName(build.status),
                                         build.error.empty() ? "" : ": ", build.error));
}

absl::Status CreateUser(Rig& rig, const std::string& name) {
  api::v1::CreateUserRequest request;
  request.set_username(name);
  request.set_email(absl::StrCat(name, "@scaletest.local"));
  request.set_password(RandomText(24));
  request.add_organization_ids(rig.workspace_template.organization_id());
  request.set_request_id(NewRequestId());
  return rig.api.Call<UserService>(&UserService::Stub::CreateUser, request, rig.stops->test())
      .status();
}

absl::StatusOr<api::v1::Workspace> CreateWorkspace(Rig& rig, const std::string& name) {
  api::v1::CreateWorkspaceRequest request;
  request.set_owner(name);
  request.set_name(name);
  request.set_template_id(rig.workspace_template.id());
  request.set_request_id(NewRequestId());
  for (const std::string& text : rig.options.parameters) {
    ASSIGN_OR_RETURN(auto parameter, SplitAssignment(text));
    api::v1::BuildParameter* value = request.add_parameters();
    value->set_name(parameter.first);
    value->set_value(parameter.second);
  }
  ASSIGN_OR_RETURN(api::v1::CreateWorkspaceResponse response,
                   rig.api.Call<WorkspaceService>(&WorkspaceService::Stub::CreateWorkspace, request,
                                                  rig.stops->test()));
  return response.workspace();
}

}  // namespace

std::vector<Member> NewFleet(const Rig& rig) {
  std::vector<Member> fleet(rig.options.workspaces);
  for (int i = 0; i < rig.options.workspaces; ++i) fleet[i].timeline.name = NameOf(rig.run, i);
  return fleet;
}

void Fail(Member& member, const std::string& kind, const absl::Status& status) {
  member.timeline.error_kind = status.code() == absl::StatusCode::kCancelled ? "interrupted"
                               : status.code() == absl::StatusCode::kDeadlineExceeded
                                   ? kind + "_timeout"
                                   : kind;
  member.timeline.error = std::string(status.message());
}

bool Create(Rig& rig, Member& member) {
  const absl::Status user = CreateUser(rig, member.timeline.name);
  if (!user.ok()) {
    Fail(member, "create_user", user);
    return false;
  }
  const absl::StatusOr<api::v1::Workspace> workspace = CreateWorkspace(rig, member.timeline.name);
  if (!workspace.ok()) {
    Fail(member, "create_workspace", workspace.status());
    return false;
  }
  member.workspace_id = workspace->id();
  const absl::StatusOr<ObservedBuild> started =
      rig.stream->WaitForEnd(workspace->id(), workspace->latest_build().build_number(),
                             rig.options.job_timeout, rig.stops->test());
  const absl::Status status = started.ok() ? Ended(*started) : started.status();
  if (!status.ok()) Fail(member, "first_start", status);
  return status.ok();
}

absl::StatusOr<ObservedBuild> Build(Rig& rig, const std::string& workspace_id,
                                    events::v1::BuildTransition transition,
                                    const std::stop_token& stop) {
  api::v1::CreateWorkspaceBuildRequest request;
  request.set_workspace_id(workspace_id);
  request.set_transition(transition);
  request.set_reason(events::v1::BUILD_REASON_CLI);
  request.set_request_id(NewRequestId());
  ASSIGN_OR_RETURN(
      api::v1::CreateWorkspaceBuildResponse response,
      rig.api.Call<BuildService>(&BuildService::Stub::CreateWorkspaceBuild, request, stop));
  ASSIGN_OR_RETURN(ObservedBuild build,
                   rig.stream->WaitForEnd(workspace_id, response.build().build_number(),
                                          rig.options.job_timeout, stop));
  RETURN_IF_ERROR(Ended(build));
  return build;
}

void CreateAll(Rig& rig, std::vector<Member>& fleet, const std::function<bool(Member&)>& after) {
  rig.progress.Begin("prepare", static_cast<int>(fleet.size()));
  ForEach(static_cast<int>(fleet.size()), rig.options.concurrency, rig.stops->test(), [&](int i) {
    if (Create(rig, fleet[i]) && (after == nullptr || after(fleet[i]))) {
      rig.progress.Done();
    } else {
      rig.progress.Failed();
    }
  });
}

absl::Status Verdict(const Rig& rig, const std::string& what, int failed, int all) {
  if (rig.stops->test().stop_requested()) return absl::CancelledError("interrupted");
  if (failed == 0) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat(what, ": ", failed, " of ", all, " failed; the report names each"));
}

}  // namespace coder::cli::scaletest
