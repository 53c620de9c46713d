#include "libs/clock/system_clock.h"
#include "libs/failpoint/from_environment.h"
#include "libs/server/log.h"
#include "libs/server/program.h"
#include "libs/server/version.h"
#include "services/pubsub-relay/app.h"
#include "services/pubsub-relay/config.h"

int main(int argc, char** argv) {
  using namespace coder;
  server::PrepareProcess(argv[0]);
  relay::Config config;
  server::OptionSet options("pubsub-relay", "publishes committed build events in one order");
  relay::RegisterOptions(options, config);
  server::CommandLine line;
  if (auto code = server::LoadOrExplain(options, argc, argv, line)) return *code;
  server::ConfigureLog("pubsub-relay", config.common);
  if (!failpoint::OpenFromEnvironment()) return server::kExitFailed;

  log::Info("starting", {{"version", server::VersionText()}});
  clock::SystemClock clock;
  auto app = relay::App::Create(config, line, clock);
  if (!app.ok()) {
    log::Error("cannot start", {{"error", app.status()}});
    return server::kExitFailed;
  }
  return (*app)->Run();
}
