#include "services/coderd-api/watch_service.h"

#include <algorithm>

#include "libs/status/status_macros.h"

namespace coder::api {

grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchService::WatchAllWorkspaceBuilds(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return WatchAllReactor::Start(parts_, context, request);
}

grpc::Status WatchService::GetBuildStreamStatus(grpc::ServerContext* context,
                                                const v1::GetBuildStreamStatusRequest* request,
                                                v1::GetBuildStreamStatusResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.WatchService/GetBuildStreamStatus", *request,
      [&](const CallContext&) -> absl::Status {
        ASSIGN_OR_RETURN(const fanout::LogBounds bounds, parts_.log.Bounds());
        response->set_epoch(bounds.epoch);
        // The event a token names need not be kept, only those after it.
        response->set_floor(std::max<int64_t>(bounds.floor - 1, 0));
        response->set_head(bounds.head);
        response->set_ring_floor(std::max<int64_t>(parts_.hub.ring().bounds().floor - 1, 0));
        return absl::OkStatus();
      });
}

}  // namespace coder::api
