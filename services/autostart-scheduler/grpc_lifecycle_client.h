#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "coder/lifecycle/v1/lifecycle.grpc.pb.h"
#include "libs/server/secret.h"
#include "services/autostart-scheduler/lifecycle_client.h"

namespace coder::scheduler {

/// Talks to coderd-api's LifecycleService with the service token.
class GrpcLifecycleClient final : public LifecycleClient {
 public:
  GrpcLifecycleClient(const std::shared_ptr<grpc::Channel>& channel, server::Secret token);

  absl::Status StreamCandidates(absl::Time tick, std::stop_token stop, const Take& take) override;
  absl::StatusOr<std::vector<lifecycle::LifecycleResult>> Apply(
      absl::Time tick, const std::vector<lifecycle::LifecycleProposal>& proposals) override;

 private:
  void Prepare(grpc::ClientContext& context) const;

  const server::Secret token_;
  const std::unique_ptr<::coder::lifecycle::v1::LifecycleService::Stub> stub_;
};

}  // namespace coder::scheduler
