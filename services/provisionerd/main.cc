#include <optional>

#include "libs/clock/system_clock.h"
#include "libs/failpoint/from_environment.h"
#include "libs/server/common_options.h"
#include "libs/server/log.h"
#include "libs/server/program.h"
#include "libs/server/version.h"
#include "services/provisionerd/app.h"
#include "services/provisionerd/config.h"

int main(int argc, char** argv) {
  using namespace coder;  // NOLINT(google-build-using-namespace)
  server::PrepareProcess(argv[0]);
  provisionerd::Config config;
  server::OptionSet options("provisionerd", "runs template imports and workspace builds");
  provisionerd::RegisterOptions(options, config);
  server::CommandLine line;
  if (const std::optional<int> code = server::LoadOrExplain(options, argc, argv, line))
    return *code;
  server::ConfigureLog("provisionerd", config.common);
  if (!failpoint::OpenFromEnvironment()) return server::kExitFailed;
  log::Info("starting", {{"version", server::VersionText()}});
  clock::SystemClock clock;
  const auto app = provisionerd::App::Create(config, line, clock);
  if (!app.ok()) {
    log::Error("cannot start", {{"error", app.status()}});
    return server::kExitFailed;
  }
  return (*app)->Run();
}
