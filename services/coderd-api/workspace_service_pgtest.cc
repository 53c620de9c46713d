#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "services/coderd-api/workspace_service_fixture.h"

namespace coder::api {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using Workspaces = v1::WorkspaceService::Stub;
using Builds = v1::BuildService::Stub;
using Fixture = WorkspaceServiceFixture;

TEST_CASE("a member makes a workspace and finds it by each of its names") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  CHECK(made.owner_name() == "ada");
  CHECK(made.status() == v1::WORKSPACE_STATUS_PENDING);
  CHECK(made.latest_build().build_number() == 1);
  CHECK(made.latest_build().reason() == events::v1::BUILD_REASON_INITIATOR);
  CHECK(made.latest_build().job().status() == events::v1::JOB_STATUS_PENDING);
  CHECK(made.latest_build().job().build_id() == made.latest_build().id());
  CHECK(made.automatic_updates() == v1::AUTOMATIC_UPDATES_NEVER);
  CHECK_FALSE(made.etag().empty());
  CHECK(f.poker.pokes == 1);
  CHECK(f.queued == std::vector{f.world.organization});
  for (const std::string& which : {made.id(), std::string("dev"), std::string("ada/dev")}) {
    CAPTURE(which);
    CHECK(f.Get(f.ada, which)->workspace().id() == made.id());
  }
  CHECK(f.Get(f.admin, "ada/dev")->workspace().id() == made.id());
}

TEST_CASE("what a caller may not see reads like what is not there") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  const auto hidden = f.Get(f.bob, made.id());
  CHECK_THAT(hidden, StatusIs(StatusCode::kNotFound));
  const std::string absent_id = f.ids.Next().ToString();
  const std::string absent(f.Get(f.bob, absent_id).status().message());
  CHECK(std::string(hidden.status().message()).size() == absent.size());
  CHECK_THAT(f.Build(f.bob, made, events::v1::BUILD_TRANSITION_STOP),
             StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.Build(f.auditor, made, events::v1::BUILD_TRANSITION_STOP),
             StatusIs(StatusCode::kPermissionDenied));
  v1::CancelWorkspaceBuildRequest cancel;
  cancel.set_id(made.latest_build().id());
  CHECK_THAT(f.Call(&Builds::CancelWorkspaceBuild, f.bob, cancel), StatusIs(StatusCode::kNotFound));
  v1::CreateWorkspaceRequest others = f.New("mine");
  others.set_owner("ada");
  const auto existing = f.Call(&Workspaces::CreateWorkspace, f.bob, others);
  others.set_owner("eve");
  const auto nobody = f.Call(&Workspaces::CreateWorkspace, f.bob, others);
  CHECK_THAT(existing, StatusIs(StatusCode::kNotFound, "ada"));
  CHECK_THAT(nobody, StatusIs(StatusCode::kNotFound, "eve"));
}

TEST_CASE("requests that make no sense name the field at fault") {
  Fixture f;
  v1::CreateWorkspaceRequest request = f.New("dev");
  request.set_template_version_id(f.world.version.ToString());
  CHECK(Field(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "template_id");
  request = f.New("dev");
  request.set_template_id("x");
  CHECK(Field(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "template_id");
  request = f.New("a b");
  CHECK(Field(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "name");
  request = f.New("dev");
  request.set_request_id("x");
  CHECK(Field(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "request_id");
  request = f.New("dev");
  request.set_template_id(f.ids.Next().ToString());
  CHECK_THAT(f.Call(&Workspaces::CreateWorkspace, f.ada, request), StatusIs(StatusCode::kNotFound));

  const v1::Workspace made = f.Make(f.ada, "dev");
  CHECK(Field(f.Build(f.ada, made, events::v1::BUILD_TRANSITION_UNSPECIFIED)) == "transition");
  v1::CreateWorkspaceBuildRequest build;
  build.set_workspace_id(made.id());
  build.set_transition(events::v1::BUILD_TRANSITION_STOP);
  build.set_reason(events::v1::BUILD_REASON_AUTOSTOP);
  CHECK(Field(f.Call(&Builds::CreateWorkspaceBuild, f.ada, build)) == "reason");
  v1::CancelWorkspaceBuildRequest cancel;
  cancel.set_id(made.latest_build().id());
  cancel.set_expect_status(events::v1::JOB_STATUS_FAILED);
  CHECK(Field(f.Call(&Builds::CancelWorkspaceBuild, f.ada, cancel)) == "expect_status");
  v1::UpdateWorkspaceRequest update;
  update.mutable_workspace()->set_id(made.id());
  CHECK(Field(f.Call(&Workspaces::UpdateWorkspace, f.ada, update)) == "update_mask");
  update.mutable_update_mask()->add_paths("owner_id");
  CHECK(Field(f.Call(&Workspaces::UpdateWorkspace, f.ada, update)) == "update_mask");
}

TEST_CASE("the same create again is one workspace and another body is refused") {
  Fixture f;
  v1::CreateWorkspaceRequest request = f.New("dev");
  request.set_request_id(f.ids.Next().ToString());
  const auto first = f.Call(&Workspaces::CreateWorkspace, f.ada, request);
  const auto again = f.Call(&Workspaces::CreateWorkspace, f.ada, request);
  REQUIRE_THAT(again, IsOk());
  CHECK(first->workspace().id() == again->workspace().id());
  request.set_name("other");
  CHECK(Reason(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "REQUEST_ID_REUSED");
  CHECK(Reason(f.Call(&Workspaces::CreateWorkspace, f.ada, f.New("dev"))) == "NAME_TAKEN");
}

TEST_CASE("a workspace is changed from the state it was read in") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  v1::UpdateWorkspaceRequest update;
  update.mutable_workspace()->set_id(made.id());
  update.mutable_workspace()->set_etag(made.etag());
  update.mutable_workspace()->set_autostart_schedule("CRON_TZ=UTC 0 9 * * mon");
  update.mutable_workspace()->mutable_ttl()->set_seconds(7200);
  update.mutable_update_mask()->add_paths("autostart_schedule");
  update.mutable_update_mask()->add_paths("ttl");
  const auto changed = f.Call(&Workspaces::UpdateWorkspace, f.ada, update);
  REQUIRE_THAT(changed, IsOk());
  CHECK(changed->workspace().autostart_schedule() == "CRON_TZ=UTC 0 9 * * mon");
  CHECK(changed->workspace().ttl().seconds() == 7200);
  CHECK(changed->workspace().has_next_start_time());
  const auto stale = f.Call(&Workspaces::UpdateWorkspace, f.ada, update);
  CHECK_THAT(stale, StatusIs(StatusCode::kAborted));
  CHECK(Reason(stale) == "ETAG_MISMATCH");
  v1::ExplainScheduleRequest explain;
  explain.set_workspace_id(made.id());
  const auto explained = f.Call(&Workspaces::ExplainSchedule, f.ada, explain);
  REQUIRE_THAT(explained, IsOk());
  CHECK(explained->has_next_start_time());
  CHECK_FALSE(explained->has_next_stop_time());
}

TEST_CASE("a dormant workspace does not start and a running one can be extended") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  f.Finish(made);
  f.world.Run("UPDATE workspace_builds SET deadline = now() + interval '1 hour'");
  v1::ExtendWorkspaceRequest extend;
  extend.set_workspace_id(made.id());
  CHECK(Field(f.Call(&Workspaces::ExtendWorkspace, f.ada, extend)) == "deadline");
  *extend.mutable_deadline() = events::ToProto(f.clock.Now() + absl::Hours(5));
  CHECK_THAT(f.Call(&Workspaces::ExtendWorkspace, f.ada, extend), IsOk());
  v1::SetWorkspaceDormantRequest dormant;
  dormant.set_workspace_id(made.id());
  dormant.set_dormant(true);
  CHECK(f.Call(&Workspaces::SetWorkspaceDormant, f.ada, dormant)->workspace().has_dormant_time());
  CHECK(Reason(f.Build(f.ada, made, events::v1::BUILD_TRANSITION_START)) == "WORKSPACE_DORMANT");
  CHECK_THAT(f.Build(f.ada, made, events::v1::BUILD_TRANSITION_STOP), IsOk());
}

TEST_CASE("builds follow one another and are read by id, number and page") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  const auto active = f.Build(f.ada, made, events::v1::BUILD_TRANSITION_STOP);
  CHECK_THAT(active, StatusIs(StatusCode::kFailedPrecondition, "build 1 is pending"));
  CHECK(Reason(active) == "BUILD_ACTIVE");
  f.Finish(made);
  const auto stop = f.Build(f.ada, made, events::v1::BUILD_TRANSITION_STOP);
  REQUIRE_THAT(stop, IsOk());
  CHECK(stop->build().build_number() == 2);
  v1::GetWorkspaceBuildRequest get;
  get.set_workspace_id(made.id());
  get.set_build_number(2);
  CHECK(f.Call(&Builds::GetWorkspaceBuild, f.ada, get)->build().id() == stop->build().id());
  get.set_build_number(3);
  CHECK_THAT(f.Call(&Builds::GetWorkspaceBuild, f.ada, get), StatusIs(StatusCode::kNotFound));
  v1::ListWorkspaceBuildsRequest list;
  list.set_workspace_id(made.id());
  list.set_page_size(1);
  const auto first = f.Call(&Builds::ListWorkspaceBuilds, f.ada, list);
  REQUIRE_THAT(first, IsOk());
  REQUIRE(first->builds_size() == 1);
  CHECK(first->builds(0).build_number() == 2);
  list.set_page_token(first->next_page_token());
  const auto second = f.Call(&Builds::ListWorkspaceBuilds, f.ada, list);
  REQUIRE(second->builds_size() == 1);
  CHECK(second->builds(0).build_number() == 1);
  CHECK(second->next_page_token().empty());
  list.set_page_token("x");
  CHECK(Field(f.Call(&Builds::ListWorkspaceBuilds, f.ada, list)) == "page_token");
}

TEST_CASE("users cancel unless their template forbids it") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  f.world.Run("UPDATE templates SET allow_user_cancel_workspace_jobs = false");
  v1::CancelWorkspaceBuildRequest cancel;
  cancel.set_id(made.latest_build().id());
  const auto forbidden = f.Call(&Builds::CancelWorkspaceBuild, f.ada, cancel);
  CHECK_THAT(forbidden, StatusIs(StatusCode::kPermissionDenied));
  CHECK(Reason(forbidden) == "CANCEL_FORBIDDEN");
  const auto canceled = f.Call(&Builds::CancelWorkspaceBuild, f.admin, cancel);
  REQUIRE_THAT(canceled, IsOk());
  CHECK(canceled->build().job().status() == events::v1::JOB_STATUS_CANCELED);
  CHECK(f.ended.size() == 1);
  CHECK(Reason(f.Call(&Builds::CancelWorkspaceBuild, f.admin, cancel)) == "JOB_COMPLETED");
}

TEST_CASE("orphans, debug output and late states need the right to update the template") {
  Fixture f;
  const v1::Workspace made = f.Make(f.ada, "dev");
  f.Finish(made);
  v1::CreateWorkspaceBuildRequest build;
  build.set_workspace_id(made.id());
  build.set_transition(events::v1::BUILD_TRANSITION_DELETE);
  build.set_debug(true);
  CHECK_THAT(f.Call(&Builds::CreateWorkspaceBuild, f.ada, build),
             StatusIs(StatusCode::kPermissionDenied));
  build.set_debug(false);
  build.set_orphan(true);
  CHECK(Reason(f.Call(&Builds::CreateWorkspaceBuild, f.ada, build)) == "ORPHAN_FORBIDDEN");
  v1::ResolveLateStateRequest resolve;
  resolve.set_build_id(made.latest_build().id());
  CHECK_THAT(f.Call(&Builds::ResolveLateState, f.ada, resolve),
             StatusIs(StatusCode::kPermissionDenied));
  CHECK(Reason(f.Call(&Builds::ResolveLateState, f.admin, resolve)) == "NO_LATE_STATE");
  const auto orphaned = f.Call(&Builds::CreateWorkspaceBuild, f.admin, build);
  REQUIRE_THAT(orphaned, IsOk());
  CHECK(orphaned->build().job().status() == events::v1::JOB_STATUS_SUCCEEDED);
  CHECK_THAT(f.Get(f.ada, "dev"), StatusIs(StatusCode::kNotFound));
  v1::GetWorkspaceRequest get;
  get.set_workspace(made.id());
  get.set_include_deleted(true);
  CHECK(f.Call(&Workspaces::GetWorkspace, f.ada, get)->workspace().status() ==
        v1::WORKSPACE_STATUS_DELETED);
  CHECK(Reason(f.Build(f.ada, made, events::v1::BUILD_TRANSITION_START)) == "WORKSPACE_DELETED");
}

TEST_CASE("a list holds what the caller may read, page by page") {
  Fixture f;
  for (const char* name : {"a", "b", "c"}) f.Make(f.ada, name);
  f.Make(f.bob, "d");
  v1::ListWorkspacesRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    const auto page = f.Call(&Workspaces::ListWorkspaces, f.ada, request);
    REQUIRE_THAT(page, IsOk());
    for (const v1::Workspace& workspace : page->workspaces()) names.push_back(workspace.name());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  CHECK(names == std::vector<std::string>{"a", "b", "c"});
  request.set_page_size(1);
  request.set_page_token(f.Call(&Workspaces::ListWorkspaces, f.ada, request)->next_page_token());
  request.set_search("a");
  CHECK(Field(f.Call(&Workspaces::ListWorkspaces, f.ada, request)) == "page_token");
  v1::ListWorkspacesRequest all;
  CHECK(f.Call(&Workspaces::ListWorkspaces, f.admin, all)->workspaces_size() == 4);
  all.set_owner("bob");
  CHECK(f.Call(&Workspaces::ListWorkspaces, f.admin, all)->workspaces_size() == 1);
  all.set_owner("nobody");
  CHECK(f.Call(&Workspaces::ListWorkspaces, f.admin, all)->workspaces_size() == 0);
  all.clear_owner();
  all.add_statuses(v1::WORKSPACE_STATUS_RUNNING);
  CHECK(f.Call(&Workspaces::ListWorkspaces, f.admin, all)->workspaces_size() == 0);
}

TEST_CASE("parameters and resources of a build are read with it") {
  Fixture f;
  f.world.Run(
      "INSERT INTO template_version_parameters (template_version_id, name, type, mutable, "
      "required) VALUES ($1, 'size', 'number', true, true)",
      {f.world.version.ToString()});
  v1::CreateWorkspaceRequest request = f.New("dev");
  CHECK(Field(f.Call(&Workspaces::CreateWorkspace, f.ada, request)) == "parameters[size]");
  v1::BuildParameter& size = *request.add_parameters();
  size.set_name("size");
  size.set_value("2");
  const auto made = f.Call(&Workspaces::CreateWorkspace, f.ada, request);
  REQUIRE_THAT(made, IsOk());
  const std::string build = made->workspace().latest_build().id();
  v1::ListWorkspaceBuildParametersRequest parameters;
  parameters.set_build_id(build);
  const auto values = f.Call(&Builds::ListWorkspaceBuildParameters, f.ada, parameters);
  REQUIRE(values->parameters_size() == 1);
  CHECK(values->parameters(0).value() == "2");
  v1::ListWorkspaceBuildResourcesRequest resources;
  resources.set_build_id(build);
  CHECK(f.Call(&Builds::ListWorkspaceBuildResources, f.ada, resources)->resources_size() == 0);
  resources.set_build_id("x");
  CHECK(Field(f.Call(&Builds::ListWorkspaceBuildResources, f.ada, resources)) == "build_id");
}

TEST_CASE("log streams are begun beside the unary calls") {
  Fixture f;
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + f.ada);
  const auto reader = f.builds_stub->StreamJobLogs(&context, v1::StreamJobLogsRequest());
  v1::StreamJobLogsResponse response;
  CHECK_FALSE(reader->Read(&response));
  CHECK(reader->Finish().error_message() == "begun");
}

}  // namespace
}  // namespace coder::api
