#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/server/secret.h"
#include "services/provisionerd/job.h"

namespace coder::provisionerd {

/// Who asks for jobs.
struct DaemonIdentity {
  std::string name;
  std::string version;
  std::vector<std::string> provisioners;
  int slots = 1;
};

/// What the server says on an acquire stream. Called from the thread that reads.
struct AcquireListener {
  std::function<void()> on_welcome;
  std::function<void(Job job)> on_job;
  /// One outstanding request ended without a job.
  std::function<void()> on_withdrawn;
};

/// One bidi AcquireJobs call. `Read` runs on one thread; the other methods may be called from any.
class AcquireStream {
 public:
  AcquireStream(const std::shared_ptr<grpc::Channel>& channel, const server::Secret& key,
                const DaemonIdentity& identity);

  /// Dispatches messages until the server drains (OK), the stream ends or breaks. Errors as
  /// AcquireJobs documents; a job that cannot be understood is INVALID_ARGUMENT.
  absl::Status Read(const AcquireListener& listener);

  /// Asks for one job. False when the stream is broken.
  bool RequestJob();
  /// Takes back every outstanding request; the answers still come.
  bool Withdraw();
  /// Says that no more requests follow; `Read` ends after the outstanding answers.
  void Close();
  /// Ends `Read` at once.
  void Cancel();

 private:
  bool Write(const provisioner::v1::AcquireJobsRequest& request);
  absl::Status Dispatch(const provisioner::v1::AcquireJobsResponse& response,
                        const AcquireListener& listener);

  const std::unique_ptr<provisioner::v1::ProvisionerService::Stub> stub_;
  grpc::ClientContext context_;
  std::mutex write_mutex_;
  bool writes_open_ = true;
  std::unique_ptr<grpc::ClientReaderWriter<provisioner::v1::AcquireJobsRequest,
                                           provisioner::v1::AcquireJobsResponse>>
      stream_;
};

}  // namespace coder::provisionerd
