#include "services/coderd-api/deployment_service.h"

#include <utility>

#include "libs/server/version.h"
#include "services/coderd-api/experiments.h"

namespace coder::api {

DeploymentService::DeploymentService(const CallGate& gate, std::string access_url,
                                     std::set<std::string> enabled)
    : gate_(gate), access_url_(std::move(access_url)), enabled_(std::move(enabled)) {}

grpc::Status DeploymentService::GetDeploymentInfo(grpc::ServerContext* context,
                                                  const v1::GetDeploymentInfoRequest* request,
                                                  v1::GetDeploymentInfoResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.DeploymentService/GetDeploymentInfo", *request,
                    [&](const CallContext&) {
                      response->set_version(std::string(server::Version()));
                      response->set_revision(std::string(server::Revision()));
                      response->set_access_url(access_url_);
                      return absl::OkStatus();
                    });
}

grpc::Status DeploymentService::ListExperiments(grpc::ServerContext* context,
                                                const v1::ListExperimentsRequest* request,
                                                v1::ListExperimentsResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.DeploymentService/ListExperiments", *request,
                    [&](const CallContext&) {
                      for (const KnownExperiment& known : KnownExperiments()) {
                        v1::Experiment* experiment = response->add_experiments();
                        experiment->set_name(std::string(known.name));
                        experiment->set_description(std::string(known.description));
                        experiment->set_enabled(enabled_.count(experiment->name()) > 0);
                      }
                      return absl::OkStatus();
                    });
}

}  // namespace coder::api
