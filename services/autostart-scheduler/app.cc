#include "services/autostart-scheduler/app.h"

#include <stop_token>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/log.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::scheduler {
namespace {

constexpr char kHealthName[] = "autostart-scheduler";

}  // namespace

App::App(const Config& config, const server::CommandLine& line,
         const std::shared_ptr<grpc::Channel>& channel, clock::Clock& clock)
    : once_(config.once),
      metrics_(server::Version(), server::Revision(), server::Compiler()),
      program_(config.common.program, clock),
      scheduler_metrics_(metrics_.registry()),
      client_(channel, config.service_token),
      pass_(client_, clock, scheduler_metrics_),
      admin_(config.admin, metrics_),
      grpc_(config.grpc, clock, metrics_.registry()),
      loop_(
          {.name = "scheduler", .interval = absl::Minutes(1), .aligned = true},
          [this](std::stop_token stop) { return pass_.Run(stop); }, clock, metrics_.registry()),
      listener_check_(
          {}, config.grpc, [this] { return grpc_.port(); },
          [this](const absl::Status& error) { program_.Fail(error); }, clock, metrics_.registry()) {
  admin_.SetConfig(line.values);
  admin_.AddReadinessCheck("latest-tick", [this] { return pass_.LatestOutcome(); });
  grpc_.SetServing(kHealthName, true);
  grpc_.OnDrain([this] { admin_.SetDraining(); });
  program_.Add(admin_);
  program_.Add(grpc_);
  program_.Add(loop_);
  program_.Add(listener_check_);
}

absl::StatusOr<std::unique_ptr<App>> App::Create(const Config& config,
                                                 const server::CommandLine& line,
                                                 clock::Clock& clock) {
  server::GrpcChannelOptions options = config.api;
  options.user_agent = absl::StrCat("autostart-scheduler/", std::string(server::Version()));
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, server::CreateChannel(options));
  return std::unique_ptr<App>(new App(config, line, channel, clock));
}

int App::Run() {
  if (!once_) return program_.Run();
  const auto outcome = pass_.Run(std::stop_token());
  if (outcome.ok()) {
    log::Info("ticked once");
    return server::kExitOk;
  }
  log::Error("the tick failed", {{"error", outcome.status()}});
  return server::kExitFailed;
}

}  // namespace coder::scheduler
