#include "services/provisionerd/grpc_job_client.h"

#include <grpcpp/client_context.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/grpc_status.h"
#include "services/provisionerd/proto_convert.h"

namespace coder::provisionerd {
namespace {

namespace pb = provisioner::v1;

// A lost heartbeat must leave time for others within the lease.
constexpr absl::Duration kHeartbeatTimeout = absl::Seconds(4);
constexpr absl::Duration kCallTimeout = absl::Seconds(15);
constexpr absl::Duration kTransferTimeout = absl::Minutes(2);
constexpr size_t kChunkBytes = 64 * 1024;
constexpr size_t kMaxDownloadBytes = 64 << 20;

template <typename Reader, typename Response>
absl::StatusOr<std::string> ReadChunks(grpc::ClientContext& context, Reader& reader,
                                       Response response) {
  std::string bytes;
  while (reader.Read(&response)) {
    bytes += response.chunk();
    if (bytes.size() > kMaxDownloadBytes) {
      context.TryCancel();
      return absl::ResourceExhaustedError(
          absl::StrCat("download: more than ", kMaxDownloadBytes, " bytes"));
    }
  }
  const grpc::Status status = reader.Finish();
  if (!status.ok()) return server::StatusFromGrpc(status);
  return bytes;
}

}  // namespace

GrpcJobClient::GrpcJobClient(const std::shared_ptr<grpc::Channel>& channel, server::Secret key)
    : key_(std::move(key)), stub_(pb::ProvisionerService::NewStub(channel)) {}

void GrpcJobClient::Prepare(grpc::ClientContext& context, absl::Duration timeout) const {
  context.AddMetadata("authorization", absl::StrCat("Bearer ", key_.Reveal()));
  context.set_deadline(server::CallDeadline(timeout));
}

absl::StatusOr<HeartbeatAnswer> GrpcJobClient::Heartbeat(const Lease& lease) {
  grpc::ClientContext context;
  Prepare(context, kHeartbeatTimeout);
  pb::HeartbeatRequest request;
  *request.mutable_lease() = ToProto(lease);
  pb::HeartbeatResponse response;
  const grpc::Status status = stub_->Heartbeat(&context, request, &response);
  if (!status.ok()) return server::StatusFromGrpc(status);
  return HeartbeatAnswer{response.cancel_requested(),
                         absl::Seconds(response.lease_duration().seconds()) +
                             absl::Nanoseconds(response.lease_duration().nanos())};
}

absl::StatusOr<bool> GrpcJobClient::AppendLogs(const Lease& lease, int64_t first_line,
                                               const std::vector<TimedLogLine>& lines) {
  grpc::ClientContext context;
  Prepare(context, kCallTimeout);
  pb::AppendLogsRequest request;
  *request.mutable_lease() = ToProto(lease);
  request.set_first_line(first_line);
  for (const TimedLogLine& line : lines) *request.add_lines() = ToProto(line);
  pb::AppendLogsResponse response;
  const grpc::Status status = stub_->AppendLogs(&context, request, &response);
  if (!status.ok()) return server::StatusFromGrpc(status);
  return response.overflowed();
}

absl::StatusOr<std::string> GrpcJobClient::DownloadSource(const Lease& lease) {
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  pb::DownloadSourceRequest request;
  *request.mutable_lease() = ToProto(lease);
  const auto reader = stub_->DownloadSource(&context, request);
  return ReadChunks(context, *reader, pb::DownloadSourceResponse());
}

absl::StatusOr<std::string> GrpcJobClient::DownloadState(const Lease& lease) {
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  pb::DownloadStateRequest request;
  *request.mutable_lease() = ToProto(lease);
  const auto reader = stub_->DownloadState(&context, request);
  return ReadChunks(context, *reader, pb::DownloadStateResponse());
}

absl::StatusOr<bool> GrpcJobClient::UploadState(const Lease& lease, std::string_view state) {
  grpc::ClientContext context;
  Prepare(context, kTransferTimeout);
  pb::UploadStateResponse response;
  const auto writer = stub_->UploadState(&context, &response);
  pb::UploadStateRequest request;
  *request.mutable_lease() = ToProto(lease);
  bool open = writer->Write(request);
  for (size_t at = 0; open && at < state.size(); at += kChunkBytes) {
    request.set_chunk(std::string(state.substr(at, kChunkBytes)));
    open = writer->Write(request);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return server::StatusFromGrpc(status);
  return response.stored_late();
}

absl::Status GrpcJobClient::Complete(const pb::CompleteJobRequest& request) {
  grpc::ClientContext context;
  Prepare(context, kCallTimeout);
  pb::CompleteJobResponse response;
  return server::StatusFromGrpc(stub_->CompleteJob(&context, request, &response));
}

absl::Status GrpcJobClient::CompleteImport(const Lease& lease, const ImportResult& result,
                                           const JobTimings& timings) {
  pb::CompleteJobRequest request;
  *request.mutable_lease() = ToProto(lease);
  *request.mutable_template_import() = ToProto(result);
  *request.mutable_timings() = ToProto(timings);
  return Complete(request);
}

absl::Status GrpcJobClient::CompleteBuild(const Lease& lease,
                                          const std::vector<Resource>& resources,
                                          const JobTimings& timings) {
  pb::CompleteJobRequest request;
  *request.mutable_lease() = ToProto(lease);
  request.mutable_workspace_build();
  for (const Resource& resource : resources) {
    *request.mutable_workspace_build()->add_resources() = ToProto(resource);
  }
  *request.mutable_timings() = ToProto(timings);
  return Complete(request);
}

absl::Status GrpcJobClient::Fail(const Lease& lease, const JobFailure& failure,
                                 const JobTimings& timings) {
  grpc::ClientContext context;
  Prepare(context, kCallTimeout);
  pb::FailJobRequest request;
  *request.mutable_lease() = ToProto(lease);
  request.set_error(failure.error);
  request.set_error_code(failure.error_code);
  request.set_canceled(failure.canceled);
  *request.mutable_timings() = ToProto(timings);
  pb::FailJobResponse response;
  return server::StatusFromGrpc(stub_->FailJob(&context, request, &response));
}

absl::Status GrpcJobClient::Release(const Lease& lease) {
  grpc::ClientContext context;
  Prepare(context, kCallTimeout);
  pb::ReleaseJobRequest request;
  *request.mutable_lease() = ToProto(lease);
  pb::ReleaseJobResponse response;
  return server::StatusFromGrpc(stub_->ReleaseJob(&context, request, &response));
}

}  // namespace coder::provisionerd
