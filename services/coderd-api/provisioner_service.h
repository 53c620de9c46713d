#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/crypto/keyring.h"
#include "libs/events/poker.h"
#include "libs/storage/job_store.h"
#include "services/coderd-api/acquire_jobs_reactor.h"
#include "services/coderd-api/call.h"
#include "services/coderd-api/job_signals.h"

namespace coder::api {

/// What provisioner daemons call; the protocol is described in provisioner.proto. The calls are
/// synchronous but for AcquireJobs, which is a reactor.
class ProvisionerService final
    : public provisioner::v1::ProvisionerService::WithCallbackMethod_AcquireJobs<
          provisioner::v1::ProvisionerService::Service> {
 public:
  struct Parts {
    const CallGate& gate;
    storage::JobStore& store;
    const crypto::Keyring& keyring;
    events::OutboxPoker& poker;
    JobQueueSignal& queue_signal;
    JobLogSignal& log_signal;
    AcquireJobsParts& acquire;
    absl::Duration lease;
    /// Told when a heartbeat could not be taken for the service's own sake; may be empty.
    std::function<void()> on_unavailable;
    /// Told of each build that ended well, once; may be empty.
    std::function<void(const storage::CompletedBuild&)> on_build_completed = nullptr;
  };

  /// All parts must outlive the service.
  explicit ProvisionerService(Parts parts) : parts_(std::move(parts)) {}

  AcquireJobsReactorBase* AcquireJobs(grpc::CallbackServerContext* context) override {
    return StartAcquireJobs(parts_.acquire, context);
  }

  grpc::Status ReleaseJob(grpc::ServerContext* context,
                          const provisioner::v1::ReleaseJobRequest* request,
                          provisioner::v1::ReleaseJobResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext* context,
                         const provisioner::v1::HeartbeatRequest* request,
                         provisioner::v1::HeartbeatResponse* response) override;
  grpc::Status AppendLogs(grpc::ServerContext* context,
                          const provisioner::v1::AppendLogsRequest* request,
                          provisioner::v1::AppendLogsResponse* response) override;
  grpc::Status DownloadSource(
      grpc::ServerContext* context, const provisioner::v1::DownloadSourceRequest* request,
      grpc::ServerWriter<provisioner::v1::DownloadSourceResponse>* writer) override;
  grpc::Status DownloadState(
      grpc::ServerContext* context, const provisioner::v1::DownloadStateRequest* request,
      grpc::ServerWriter<provisioner::v1::DownloadStateResponse>* writer) override;
  grpc::Status UploadState(grpc::ServerContext* context,
                           grpc::ServerReader<provisioner::v1::UploadStateRequest>* reader,
                           provisioner::v1::UploadStateResponse* response) override;
  grpc::Status CompleteJob(grpc::ServerContext* context,
                           const provisioner::v1::CompleteJobRequest* request,
                           provisioner::v1::CompleteJobResponse* response) override;
  grpc::Status FailJob(grpc::ServerContext* context, const provisioner::v1::FailJobRequest* request,
                       provisioner::v1::FailJobResponse* response) override;

 private:
  absl::StatusOr<storage::LeaseClaim> Claim(const CallContext& call,
                                            const provisioner::v1::Lease& lease) const;
  absl::StatusOr<std::string> ReceiveState(
      const CallContext& call, grpc::ServerReader<provisioner::v1::UploadStateRequest>& reader,
      provisioner::v1::Lease& lease) const;
  absl::Status Complete(const CallContext& call,
                        const provisioner::v1::CompleteJobRequest& request);
  void Announce(const storage::LeaseClaim& claim);

  const Parts parts_;
};

}  // namespace coder::api
