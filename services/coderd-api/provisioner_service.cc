#include "services/coderd-api/provisioner_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/server/grpc_options.h"
#include "libs/server/grpc_status.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_provisioner.h"

namespace coder::api {
namespace {

namespace pb = provisioner::v1;

#define CODER_METHOD(name) "/coder.provisioner.v1.ProvisionerService/" name

constexpr size_t kChunkBytes = 64 * 1024;
constexpr size_t kMaxStateBytes = 32 * 1024 * 1024;
// Logs and results are larger than what most calls may carry.
constexpr size_t kMaxResultBytes = 4 * 1024 * 1024;

template <typename Response>
absl::Status SendChunks(const CallContext& call, const std::string& bytes,
                        grpc::ServerWriter<Response>& writer) {
  Response response;
  for (size_t sent = 0; sent < bytes.size(); sent += kChunkBytes) {
    if (call.deadline.Expired()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "send ", bytes.size(), " bytes: the deadline passed after ", sent, "; allow more time"));
    }
    response.set_chunk(bytes.substr(sent, kChunkBytes));
    if (!writer.Write(response)) return absl::CancelledError("send bytes: the caller went away");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<storage::LeaseClaim> ProvisionerService::Claim(const CallContext& call,
                                                              const pb::Lease& lease) const {
  call.Concerns("provisioner_job", lease.job_id(), "");
  return ClaimFromProto(lease, call.caller->organization_id);
}

void ProvisionerService::Announce(const storage::LeaseClaim& claim) {
  parts_.poker.Poke();
  parts_.log_signal.Poke(claim.job);
}

grpc::Status ProvisionerService::ReleaseJob(grpc::ServerContext* context,
                                            const pb::ReleaseJobRequest* request,
                                            pb::ReleaseJobResponse*) {
  return HandleCall(parts_.gate, context, CODER_METHOD("ReleaseJob"), *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
                      RETURN_IF_ERROR(parts_.store.ReleaseJob(claim, call.deadline));
                      Announce(claim);
                      parts_.queue_signal.Poke(claim.organization);
                      return absl::OkStatus();
                    });
}

grpc::Status ProvisionerService::Heartbeat(grpc::ServerContext* context,
                                           const pb::HeartbeatRequest* request,
                                           pb::HeartbeatResponse* response) {
  return HandleCall(parts_.gate, context, CODER_METHOD("Heartbeat"), *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
                      const auto answer =
                          parts_.store.Heartbeat(claim, parts_.lease, call.deadline);
                      if (absl::IsUnavailable(answer.status()) && parts_.on_unavailable)
                        parts_.on_unavailable();
                      RETURN_IF_ERROR(answer.status());
                      response->set_cancel_requested(answer->cancel_requested);
                      *response->mutable_lease_duration() = events::ToProto(parts_.lease);
                      return absl::OkStatus();
                    });
}

grpc::Status ProvisionerService::AppendLogs(grpc::ServerContext* context,
                                            const pb::AppendLogsRequest* request,
                                            pb::AppendLogsResponse* response) {
  return HandleCall(
      parts_.gate, context, CODER_METHOD("AppendLogs"), *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
        ASSIGN_OR_RETURN(const auto lines, LogLinesFromProto(*request));
        ASSIGN_OR_RETURN(const auto outcome, parts_.store.AppendLogs(claim, request->first_line(),
                                                                     lines, call.deadline));
        response->set_overflowed(outcome.overflowed);
        parts_.log_signal.Poke(claim.job);
        return absl::OkStatus();
      },
      kMaxResultBytes);
}

grpc::Status ProvisionerService::DownloadSource(
    grpc::ServerContext* context, const pb::DownloadSourceRequest* request,
    grpc::ServerWriter<pb::DownloadSourceResponse>* writer) {
  return HandleCall(parts_.gate, context, CODER_METHOD("DownloadSource"), *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
                      ASSIGN_OR_RETURN(const std::string source,
                                       parts_.store.LoadSource(claim, call.deadline));
                      return SendChunks(call, source, *writer);
                    });
}

grpc::Status ProvisionerService::DownloadState(
    grpc::ServerContext* context, const pb::DownloadStateRequest* request,
    grpc::ServerWriter<pb::DownloadStateResponse>* writer) {
  return HandleCall(parts_.gate, context, CODER_METHOD("DownloadState"), *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
                      ASSIGN_OR_RETURN(const auto sealed,
                                       parts_.store.LoadSealedState(claim, call.deadline));
                      if (!sealed) return absl::OkStatus();
                      ASSIGN_OR_RETURN(const std::string state,
                                       parts_.keyring.Open(*sealed, kEngineStatePurpose));
                      return SendChunks(call, state, *writer);
                    });
}

absl::StatusOr<std::string> ProvisionerService::ReceiveState(
    const CallContext& call, grpc::ServerReader<pb::UploadStateRequest>& reader,
    pb::Lease& lease) const {
  pb::UploadStateRequest message;
  if (!reader.Read(&message) || !message.has_lease()) {
    return absl::InvalidArgumentError("upload state: the first message must name job and lease");
  }
  lease = message.lease();
  std::string state;
  while (reader.Read(&message)) {
    if (!message.has_chunk() || message.chunk().size() > kChunkBytes) {
      return absl::InvalidArgumentError(
          "upload state: after the lease come chunks of at most 64 KiB");
    }
    if (state.size() + message.chunk().size() > kMaxStateBytes) {
      return absl::ResourceExhaustedError("upload state: it is larger than 32 MiB");
    }
    if (call.deadline.Expired()) {
      return absl::DeadlineExceededError(absl::StrCat("upload state: the deadline passed after ",
                                                      state.size(), " bytes; allow more time"));
    }
    state += message.chunk();
  }
  return state;
}

grpc::Status ProvisionerService::UploadState(grpc::ServerContext* context,
                                             grpc::ServerReader<pb::UploadStateRequest>* reader,
                                             pb::UploadStateResponse* response) {
  const pb::UploadStateRequest unread;
  return HandleCall(parts_.gate, context, CODER_METHOD("UploadState"), unread,
                    [&](const CallContext& call) -> absl::Status {
                      pb::Lease lease;
                      ASSIGN_OR_RETURN(const std::string state, ReceiveState(call, *reader, lease));
                      // A half upload must not pass for a whole one.
                      if (context->IsCancelled())
                        return absl::CancelledError("upload state: cut off");
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, lease));
                      ASSIGN_OR_RETURN(const bool late,
                                       parts_.store.StoreSealedState(
                                           claim, parts_.keyring.Seal(state, kEngineStatePurpose),
                                           call.deadline));
                      response->set_stored_late(late);
                      if (late) parts_.poker.Poke();
                      return absl::OkStatus();
                    });
}

absl::Status ProvisionerService::Complete(const CallContext& call,
                                          const pb::CompleteJobRequest& request) {
  ASSIGN_OR_RETURN(const auto claim, Claim(call, request.lease()));
  const auto timings = TimingsFromProto(request.timings());
  if (request.has_template_import()) {
    RETURN_IF_ERROR(parts_.store.CompleteImport(claim, ImportFromProto(request.template_import()),
                                                timings, call.deadline));
  } else if (request.has_workspace_build()) {
    ASSIGN_OR_RETURN(const auto completed, parts_.store.CompleteBuild(
                                               claim, ResourcesFromProto(request.workspace_build()),
                                               timings, call.deadline));
    if (completed && parts_.on_build_completed) parts_.on_build_completed(*completed);
  } else {
    return absl::InvalidArgumentError("complete job: it comes without a result");
  }
  Announce(claim);
  return absl::OkStatus();
}

grpc::Status ProvisionerService::CompleteJob(grpc::ServerContext* context,
                                             const pb::CompleteJobRequest* request,
                                             pb::CompleteJobResponse*) {
  return HandleCall(
      parts_.gate, context, CODER_METHOD("CompleteJob"), *request,
      [&](const CallContext& call) { return Complete(call, *request); }, kMaxResultBytes);
}

grpc::Status ProvisionerService::FailJob(grpc::ServerContext* context,
                                         const pb::FailJobRequest* request, pb::FailJobResponse*) {
  return HandleCall(parts_.gate, context, CODER_METHOD("FailJob"), *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const auto claim, Claim(call, request->lease()));
                      ASSIGN_OR_RETURN(const auto failure, FailureFromProto(*request));
                      RETURN_IF_ERROR(parts_.store.FailJob(
                          claim, failure, TimingsFromProto(request->timings()), call.deadline));
                      Announce(claim);
                      return absl::OkStatus();
                    });
}

}  // namespace coder::api
