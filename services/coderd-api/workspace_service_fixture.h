#pragma once

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/events/proto_time.h"
#include "libs/metrics/metrics.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_build_store.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_schedule_store.h"
#include "libs/storage/postgres/pg_workspace_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/build_service.h"
#include "services/coderd-api/workspace_service.h"

namespace coder::api {

/// The reason a refusal carries, or nothing.
template <typename T>
std::string Reason(const absl::StatusOr<T>& result) {
  const auto reason = status::ReasonOf(result.status());
  return reason ? reason->reason : "";
}

/// The first field a refusal complains of, or nothing.
template <typename T>
std::string Field(const absl::StatusOr<T>& result) {
  const auto violations = status::FieldViolationsOf(result.status());
  return violations.empty() ? "" : violations[0].field;
}

/// Ends each log stream with a word of its own.
class RefusingStream : public BuildService::LogStream {
 public:
  RefusingStream() { Finish(grpc::Status(grpc::StatusCode::DATA_LOSS, "begun")); }
  void OnDone() override { delete this; }
};

/// Counts the hints.
class CountingPoker : public events::OutboxPoker {
 public:
  void Poke() override { ++pokes; }
  std::atomic<int> pokes = 0;
};

/// Both services on a port of their own over a database of their own. Each token is of the person
/// it is named after.
struct WorkspaceServiceFixture {
  WorkspaceServiceFixture() {
    ada = world.identities.AddSession(world.owner);
    bob = world.identities.AddSession(world.other);
    const lifecycle::UserId admin_id = world.AddUser("admin");
    world.identities.SetSiteRoles(admin_id, {auth::SiteRole::kOwner});
    admin = world.identities.AddSession(admin_id);
    const lifecycle::UserId auditor_id = world.AddUser("auditor");
    world.identities.SetSiteRoles(auditor_id, {auth::SiteRole::kAuditor});
    auditor = world.identities.AddSession(auditor_id);
    server.AddService(workspace_service, WorkspaceService::kName);
    server.AddService(build_service, BuildService::kName);
    REQUIRE_THAT(server.Start(), testing::IsOk());
    workspaces_stub = v1::WorkspaceService::NewStub(server.InProcessChannel());
    builds_stub = v1::BuildService::NewStub(server.InProcessChannel());
  }
  ~WorkspaceServiceFixture() { server.Stop(); }

  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const std::string& token, const Request& request) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    Response response;
    const absl::Status status =
        server::StatusFromGrpc((stub.*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::WorkspaceService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const std::string& token, const Request& request) {
    return Call(*workspaces_stub, method, token, request);
  }
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::BuildService::Stub::*method)(grpc::ClientContext*,
                                                                               const Request&,
                                                                               Response*),
                                const std::string& token, const Request& request) {
    return Call(*builds_stub, method, token, request);
  }

  v1::CreateWorkspaceRequest New(const std::string& name) {
    v1::CreateWorkspaceRequest request;
    request.set_name(name);
    request.set_template_id(world.template_id.ToString());
    return request;
  }

  v1::Workspace Make(const std::string& token, const std::string& name) {
    const auto made = Call(&v1::WorkspaceService::Stub::CreateWorkspace, token, New(name));
    REQUIRE_THAT(made, testing::IsOk());
    return made->workspace();
  }

  absl::StatusOr<v1::GetWorkspaceResponse> Get(const std::string& token, const std::string& which) {
    v1::GetWorkspaceRequest request;
    request.set_workspace(which);
    return Call(&v1::WorkspaceService::Stub::GetWorkspace, token, request);
  }

  absl::StatusOr<v1::CreateWorkspaceBuildResponse> Build(const std::string& token,
                                                         const v1::Workspace& workspace,
                                                         events::v1::BuildTransition transition) {
    v1::CreateWorkspaceBuildRequest request;
    request.set_workspace_id(workspace.id());
    request.set_transition(transition);
    return Call(&v1::BuildService::Stub::CreateWorkspaceBuild, token, request);
  }

  void Finish(const v1::Workspace& workspace) {
    world.MoveJob(lifecycle::BuildId::Parse(workspace.latest_build().id()).value(), "succeeded");
  }

  storage::MigratedDatabase database;
  storage::SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo("coder_api")}, .max_connections = 8}};
  clock::SystemClock clock;
  metrics::Metrics metrics{"v", "r", "c"};
  storage::PgCredentialStore credentials{pool};
  Authenticator authenticator{credentials, clock, server::Secret()};
  CallGate gate{authenticator, clock};
  ids::UuidV7Generator ids{[this] { return clock.Now(); }, ids::SystemRandom()};
  storage::PgWorkspaceStore workspaces{pool, ids};
  storage::PgScheduleStore schedules{pool};
  storage::PgBuildStore builds{pool, ids};
  CountingPoker poker;
  std::vector<lifecycle::OrganizationId> queued;
  std::vector<lifecycle::JobId> ended;
  WorkspaceService workspace_service{
      {gate, workspaces, schedules, poker,
       [this](const lifecycle::OrganizationId& id) { queued.push_back(id); }}};
  BuildService build_service{{gate, workspaces, builds, poker,
                              [this](const lifecycle::OrganizationId& id) { queued.push_back(id); },
                              [this](const lifecycle::JobId& id) { ended.push_back(id); },
                              [](grpc::CallbackServerContext*, const v1::StreamJobLogsRequest*) {
                                return new RefusingStream;
                              }}};
  server::GrpcServer server{{.drain_delay = absl::ZeroDuration()}, clock, metrics.registry()};
  std::unique_ptr<v1::WorkspaceService::Stub> workspaces_stub;
  std::unique_ptr<v1::BuildService::Stub> builds_stub;
  std::string ada, bob, admin, auditor;
};

}  // namespace coder::api
