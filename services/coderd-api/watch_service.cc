#include "services/coderd-api/watch_service.h"

#include <algorithm>

#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

absl::Status SetOldestTime(storage::EventLogStore& log, const fanout::LogBounds& bounds,
                           v1::GetBuildStreamStatusResponse& response) {
  if (bounds.floor > bounds.head) return absl::OkStatus();
  const auto packs = log.Read(bounds.floor - 1, bounds.floor, 1);
  // What was the oldest when the bounds were read may have been dropped since.
  if (packs.status().code() == absl::StatusCode::kOutOfRange) return absl::OkStatus();
  RETURN_IF_ERROR(packs.status());
  if (packs->empty()) return absl::OkStatus();
  const int64_t oldest = std::max(bounds.floor, packs->front()->first_position());
  if (const int64_t time_us = packs->front()->at(oldest).time_us; time_us != 0) {
    *response.mutable_oldest_event_time() = events::ToProto(absl::FromUnixMicros(time_us));
  }
  return absl::OkStatus();
}

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchService::WatchAllWorkspaceBuilds(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return WatchAllReactor::Start(parts_, context, request);
}

grpc::Status WatchService::GetBuildStreamStatus(grpc::ServerContext* context,
                                                const v1::GetBuildStreamStatusRequest* request,
                                                v1::GetBuildStreamStatusResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.WatchService/GetBuildStreamStatus",
                    *request, [&](const CallContext&) -> absl::Status {
                      ASSIGN_OR_RETURN(const fanout::LogBounds bounds, parts_.log.Bounds());
                      response->set_epoch(bounds.epoch);
                      // The event a token names need not be kept, only those after it.
                      response->set_floor(std::max<int64_t>(bounds.floor - 1, 0));
                      response->set_head(bounds.head);
                      const fanout::Ring::Bounds ring = parts_.hub.ring().bounds();
                      response->set_ring_floor(std::max<int64_t>(ring.floor - 1, 0));
                      response->set_ring_head(ring.head);
                      response->set_confirmed_position(bounds.confirmed);
                      response->set_source(parts_.pump.follows_stream()
                                               ? v1::BUILD_STREAM_SOURCE_STREAM
                                               : v1::BUILD_STREAM_SOURCE_LOG);
                      response->set_watches(parts_.sessions.size());
                      const WatchSessions::Limits& limits = parts_.sessions.limits();
                      response->set_max_watches(limits.watches);
                      response->set_max_watches_per_caller(limits.watches_per_caller);
                      response->set_max_snapshots(limits.snapshots);
                      return SetOldestTime(parts_.log, bounds, *response);
                    });
}

}  // namespace coder::api
