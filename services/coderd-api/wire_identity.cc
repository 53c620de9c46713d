#include <set>
#include <string>

#include "services/coderd-api/deployment_service.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireIdentity(Wiring& wiring) {
  const Config& config = wiring->config;
  wiring.Serve<DeploymentService>(
      DeploymentService::kName, wiring->gate, config.access_url,
      std::set<std::string>(config.experiments.begin(), config.experiments.end()));
}

}  // namespace coder::api
