#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/metrics/metrics.h"
#include "libs/server/admin_server.h"
#include "libs/server/grpc_server.h"
#include "libs/server/listener_check.h"
#include "libs/server/loop.h"
#include "libs/server/options.h"
#include "libs/server/program.h"
#include "services/autostart-scheduler/config.h"
#include "services/autostart-scheduler/grpc_lifecycle_client.h"
#include "services/autostart-scheduler/scheduler_metrics.h"
#include "services/autostart-scheduler/scheduler_pass.h"

namespace coder::scheduler {

/// The parts of the scheduler, wired.
class App {
 public:
  /// Builds everything without starting it. `clock` must outlive the app. NOT_FOUND for a missing
  /// certificate file.
  static absl::StatusOr<std::unique_ptr<App>> Create(const Config& config,
                                                     const server::CommandLine& line,
                                                     clock::Clock& clock);

  /// Runs until a signal or a failure, or, with `once`, for one tick; returns the exit code.
  int Run();

 private:
  App(const Config& config, const server::CommandLine& line,
      const std::shared_ptr<grpc::Channel>& channel, clock::Clock& clock);

  const bool once_;
  metrics::Metrics metrics_;
  server::Program program_;
  SchedulerMetrics scheduler_metrics_;
  GrpcLifecycleClient client_;
  SchedulerPass pass_;
  server::AdminServer admin_;
  server::GrpcServer grpc_;
  server::Loop loop_;
  server::ListenerCheck listener_check_;
};

}  // namespace coder::scheduler
