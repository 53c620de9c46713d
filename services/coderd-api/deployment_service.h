#pragma once

#include <set>
#include <string>

#include "coder/api/v1/deployment.grpc.pb.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// What the deployment is and which experiments are on. Thread-safe.
class DeploymentService final : public v1::DeploymentService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.DeploymentService";

  /// The gate must outlive the service.
  DeploymentService(const CallGate& gate, std::string access_url, std::set<std::string> enabled);

  grpc::Status GetDeploymentInfo(grpc::ServerContext* context,
                                 const v1::GetDeploymentInfoRequest* request,
                                 v1::GetDeploymentInfoResponse* response) override;
  grpc::Status ListExperiments(grpc::ServerContext* context,
                               const v1::ListExperimentsRequest* request,
                               v1::ListExperimentsResponse* response) override;

 private:
  const CallGate& gate_;
  const std::string access_url_;
  const std::set<std::string> enabled_;
};

}  // namespace coder::api
