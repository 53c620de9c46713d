#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/metrics/metrics.h"
#include "libs/server/admin_server.h"
#include "libs/server/grpc_server.h"
#include "libs/server/listener_check.h"
#include "libs/server/options.h"
#include "libs/server/program.h"
#include "services/provisionerd/config.h"
#include "services/provisionerd/echo_engine.h"
#include "services/provisionerd/grpc_job_client.h"
#include "services/provisionerd/job_loop.h"
#include "services/provisionerd/terraform_engine.h"

namespace coder::provisionerd {

/// The parts of provisionerd, wired.
class App {
 public:
  /// Builds everything without starting it. `clock` must outlive the app. NOT_FOUND for an engine
  /// that is not there, INTERNAL for a work directory that cannot be made, INVALID_ARGUMENT for
  /// addresses.
  static absl::StatusOr<std::unique_ptr<App>> Create(const Config& config,
                                                     const server::CommandLine& line,
                                                     clock::Clock& clock);

  /// Runs until a signal or a failure; returns the exit code.
  int Run();

 private:
  App(const Config& config, clock::Clock& clock);
  absl::Status AddEngines(const Config& config);
  absl::Status MakeInitCache(const Config& config);
  absl::Status ConnectJobs(const Config& config);
  absl::Status AddListeners(const Config& config, const server::CommandLine& line);

  clock::Clock& clock_;
  metrics::Metrics metrics_;
  server::Program program_;
  std::unique_ptr<server::AdminServer> admin_;
  std::unique_ptr<InitCache> init_cache_;
  std::unique_ptr<TerraformEngine> terraform_;
  EchoEngine echo_;
  std::unique_ptr<GrpcJobClient> client_;
  JobEnvironment environment_;
  std::unique_ptr<server::GrpcServer> grpc_;
  std::unique_ptr<JobLoop> jobs_;
  std::unique_ptr<server::ListenerCheck> listener_check_;
};

}  // namespace coder::provisionerd
