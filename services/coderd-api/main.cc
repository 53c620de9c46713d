#include "libs/clock/system_clock.h"
#include "libs/failpoint/from_environment.h"
#include "libs/server/log.h"
#include "libs/server/program.h"
#include "libs/server/version.h"
#include "services/coderd-api/app.h"
#include "services/coderd-api/config.h"

int main(int argc, char** argv) {
  using namespace coder;
  server::PrepareProcess(argv[0]);
  api::Config config;
  server::OptionSet options("coderd-api", "serves the deployment's public and internal APIs");
  api::RegisterOptions(options, config);
  server::CommandLine line;
  if (auto code = server::LoadOrExplain(options, argc, argv, line)) return *code;
  server::ConfigureLog("coderd-api", config.common);
  if (!failpoint::OpenFromEnvironment()) return server::kExitFailed;
  if (line.command != "serve") return api::RunCommand(config, line.command);

  log::Info("starting", {{"version", server::VersionText()}});
  clock::SystemClock clock;
  auto app = api::App::Create(config, line, clock);
  if (!app.ok()) {
    log::Error("cannot start", {{"error", app.status()}});
    return server::kExitFailed;
  }
  return (*app)->Run();
}
