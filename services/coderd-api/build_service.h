#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "libs/events/poker.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/build_store.h"
#include "libs/storage/workspace_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// Builds of workspaces. Its unary calls are of the sync API; log streams, of the callback API, are
/// begun by whoever knows how. Thread-safe.
class BuildService final
    : public v1::BuildService::WithCallbackMethod_StreamJobLogs<v1::BuildService::Service> {
 public:
  static constexpr char kName[] = "coder.api.v1.BuildService";

  using LogStream = grpc::ServerWriteReactor<v1::StreamJobLogsResponse>;

  /// What the service works with; all must outlive it.
  struct Parts {
    const CallGate& gate;
    storage::WorkspaceStore& workspaces;
    storage::BuildStore& builds;
    events::OutboxPoker& poker;
    /// Called after a job was put into an organization's queue; returns at once.
    std::function<void(const lifecycle::OrganizationId&)> job_queued;
    /// Called after a cancel may have ended a job; returns at once.
    std::function<void(const lifecycle::JobId&)> job_ended;
    /// Begins to serve one StreamJobLogs call, the right to it included.
    std::function<LogStream*(grpc::CallbackServerContext*, const v1::StreamJobLogsRequest*)>
        stream_logs;
  };

  explicit BuildService(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status CreateWorkspaceBuild(grpc::ServerContext* context,
                                    const v1::CreateWorkspaceBuildRequest* request,
                                    v1::CreateWorkspaceBuildResponse* response) override;
  grpc::Status GetWorkspaceBuild(grpc::ServerContext* context,
                                 const v1::GetWorkspaceBuildRequest* request,
                                 v1::GetWorkspaceBuildResponse* response) override;
  grpc::Status ListWorkspaceBuilds(grpc::ServerContext* context,
                                   const v1::ListWorkspaceBuildsRequest* request,
                                   v1::ListWorkspaceBuildsResponse* response) override;
  grpc::Status CancelWorkspaceBuild(grpc::ServerContext* context,
                                    const v1::CancelWorkspaceBuildRequest* request,
                                    v1::CancelWorkspaceBuildResponse* response) override;
  grpc::Status ListWorkspaceBuildParameters(
      grpc::ServerContext* context, const v1::ListWorkspaceBuildParametersRequest* request,
      v1::ListWorkspaceBuildParametersResponse* response) override;
  grpc::Status ListWorkspaceBuildResources(
      grpc::ServerContext* context, const v1::ListWorkspaceBuildResourcesRequest* request,
      v1::ListWorkspaceBuildResourcesResponse* response) override;
  grpc::Status ResolveLateState(grpc::ServerContext* context,
                                const v1::ResolveLateStateRequest* request,
                                v1::ResolveLateStateResponse* response) override;
  LogStream* StreamJobLogs(grpc::CallbackServerContext* context,
                           const v1::StreamJobLogsRequest* request) override {
    return parts_.stream_logs(context, request);
  }

 private:
  // Loads what a request names and has the caller's right checked; deleted workspaces are loaded
  // all the same.
  absl::StatusOr<storage::WorkspaceRecord> LoadWorkspace(const CallContext& call,
                                                         const std::string& id,
                                                         auth::Action action);
  absl::StatusOr<storage::BuildRecord> LoadBuild(const CallContext& call, absl::string_view field,
                                                 const std::string& id, auth::Action action);
  absl::StatusOr<storage::BuildRecord> Find(const CallContext& call,
                                            const v1::GetWorkspaceBuildRequest& request);
  absl::StatusOr<storage::BuildOrder> Decode(const CallContext& call,
                                             const v1::CreateWorkspaceBuildRequest& request);

  const Parts parts_;
};

}  // namespace coder::api
