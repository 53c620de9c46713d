#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/server/secret.h"
#include "services/provisionerd/job_client.h"

namespace coder::provisionerd {

/// Talks to coderd-api's ProvisionerService with a provisioner key. Thread safe.
class GrpcJobClient final : public JobClient {
 public:
  GrpcJobClient(const std::shared_ptr<grpc::Channel>& channel, server::Secret key);

  absl::StatusOr<HeartbeatAnswer> Heartbeat(const Lease& lease) override;
  absl::StatusOr<bool> AppendLogs(const Lease& lease, int64_t first_line,
                                  const std::vector<TimedLogLine>& lines) override;
  absl::StatusOr<std::string> DownloadSource(const Lease& lease) override;
  absl::StatusOr<std::string> DownloadState(const Lease& lease) override;
  absl::StatusOr<bool> UploadState(const Lease& lease, std::string_view state) override;
  absl::Status CompleteImport(const Lease& lease, const ImportResult& result,
                              const JobTimings& timings) override;
  absl::Status CompleteBuild(const Lease& lease, const std::vector<Resource>& resources,
                             const JobTimings& timings) override;
  absl::Status Fail(const Lease& lease, const JobFailure& failure,
                    const JobTimings& timings) override;
  absl::Status Release(const Lease& lease) override;

 private:
  void Prepare(grpc::ClientContext& context, absl::Duration timeout) const;
  absl::Status Complete(const provisioner::v1::CompleteJobRequest& request);

  const server::Secret key_;
  const std::unique_ptr<provisioner::v1::ProvisionerService::Stub> stub_;
};

}  // namespace coder::provisionerd
