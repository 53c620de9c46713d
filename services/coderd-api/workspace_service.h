#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/events/poker.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/schedule_store.h"
#include "libs/storage/workspace_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// Workspaces and their schedules. Thread-safe.
class WorkspaceService final : public v1::WorkspaceService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.WorkspaceService";

  /// What the service works with; all must outlive it.
  struct Parts {
    const CallGate& gate;
    storage::WorkspaceStore& workspaces;
    storage::ScheduleStore& schedules;
    events::OutboxPoker& poker;
    /// Called after a job was put into an organization's queue; returns at once.
    std::function<void(const lifecycle::OrganizationId&)> job_queued;
  };

  explicit WorkspaceService(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status CreateWorkspace(grpc::ServerContext* context,
                               const v1::CreateWorkspaceRequest* request,
                               v1::CreateWorkspaceResponse* response) override;
  grpc::Status GetWorkspace(grpc::ServerContext* context, const v1::GetWorkspaceRequest* request,
                            v1::GetWorkspaceResponse* response) override;
  grpc::Status ListWorkspaces(grpc::ServerContext* context,
                              const v1::ListWorkspacesRequest* request,
                              v1::ListWorkspacesResponse* response) override;
  grpc::Status UpdateWorkspace(grpc::ServerContext* context,
                               const v1::UpdateWorkspaceRequest* request,
                               v1::UpdateWorkspaceResponse* response) override;
  grpc::Status ExtendWorkspace(grpc::ServerContext* context,
                               const v1::ExtendWorkspaceRequest* request,
                               v1::ExtendWorkspaceResponse* response) override;
  grpc::Status SetWorkspaceDormant(grpc::ServerContext* context,
                                   const v1::SetWorkspaceDormantRequest* request,
                                   v1::SetWorkspaceDormantResponse* response) override;
  grpc::Status ExplainSchedule(grpc::ServerContext* context,
                               const v1::ExplainScheduleRequest* request,
                               v1::ExplainScheduleResponse* response) override;

 private:
  // Loads what a request names, which must not be deleted, and has the caller's right checked.
  absl::StatusOr<storage::WorkspaceRecord> Load(const CallContext& call, absl::string_view field,
                                                const std::string& id, auth::Action action);
  absl::StatusOr<storage::WorkspaceRecord> Find(const CallContext& call,
                                                const v1::GetWorkspaceRequest& request);
  absl::StatusOr<lifecycle::UserId> OwnerOf(const CallContext& call, const std::string& owner);
  absl::StatusOr<storage::NewWorkspace> Decode(const CallContext& call,
                                               const v1::CreateWorkspaceRequest& request);
  absl::StatusOr<storage::WorkspaceFilter> Decode(const CallContext& call,
                                                  const v1::ListWorkspacesRequest& request);
  absl::Status AuthorizeCreate(const CallContext& call, const v1::CreateWorkspaceRequest& request,
                               const storage::NewWorkspace& workspace);

  const Parts parts_;
};

}  // namespace coder::api
