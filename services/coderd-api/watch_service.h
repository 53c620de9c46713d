#pragma once

#include <grpcpp/grpcpp.h>

#include "coder/api/v1/watch.grpc.pb.h"
#include "services/coderd-api/watch_all_reactor.h"

namespace coder::api {

/// The deployment's stream of build events (watch.proto is its contract).
class WatchService : public v1::WatchService::WithRawCallbackMethod_WatchAllWorkspaceBuilds<
                         v1::WatchService::Service> {
 public:
  static constexpr char kName[] = "coder.api.v1.WatchService";

  /// `parts` must outlive the service and its streams.
  explicit WatchService(WatchParts& parts) : parts_(parts) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchAllWorkspaceBuilds(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) override;

  grpc::Status GetBuildStreamStatus(grpc::ServerContext* context,
                                    const v1::GetBuildStreamStatusRequest* request,
                                    v1::GetBuildStreamStatusResponse* response) override;

 private:
  WatchParts& parts_;
};

}  // namespace coder::api
