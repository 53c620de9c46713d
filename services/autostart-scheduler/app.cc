#include "services/autostart-scheduler/app.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/server/channelz_page.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/log.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::scheduler {
namespace {

constexpr char kHealthName[] = "autostart-scheduler";

nlohmann::ordered_json TickPage(const std::optional<TickView>& latest, absl::Time now) {
  nlohmann::ordered_json page;
  const auto text = [](absl::Time time) {
    return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
  };
  page["now"] = text(now);
  // The loop is aligned to whole minutes.
  page["next_tick"] =
      text(absl::UnixEpoch() + absl::Floor(now - absl::UnixEpoch(), absl::Minutes(1)) +
           absl::Minutes(1));
  if (!latest) return page;
  page["latest_tick"] = {{"tick", text(latest->tick)},
                         {"succeeded", latest->outcome.ok()},
                         {"error", std::string(latest->outcome.message())},
                         {"seconds", absl::ToDoubleSeconds(latest->amounts.took)},
                         {"missed_before", latest->amounts.missed},
                         {"candidates", latest->amounts.candidates},
                         {"decisions", latest->amounts.decisions},
                         {"backlog", latest->amounts.backlog},
                         {"broken_schedules", latest->broken_schedules}};
  return page;
}

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
  admin_.AddDebugPage("ticks", "the latest tick, what it came to and when the next is due",
                      [this, &clock] { return TickPage(pass_.LatestTick(), clock.Now()); });
  server::AddChannelzPage(admin_);
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
