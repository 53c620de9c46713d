#include "services/autostart-scheduler/config.h"

namespace coder::scheduler {

void RegisterOptions(server::OptionSet& options, Config& config) {
  options.Group("Connection to coderd-api");
  server::RegisterGrpcChannelOptions(options, "api", config.api);
  options.SecretText("service-token", &config.service_token,
                     "token of this deployment's services, the same that coderd-api is given; "
                     "make one with `coderd-api new-service-token`");
  options.Required();

  options.Group("Ticks");
  options.Bool("once", &config.once,
               "decide for this minute and end, with exit code 0 when all went well; ticks are "
               "otherwise at the start of each minute");

  options.Group("Listeners and logs");
  server::RegisterGrpcServerOptions(options, config.grpc);
  server::RegisterAdminOptions(options, config.admin);
  server::RegisterCommonOptions(options, config.common);

  options.Example(
      "autostart-scheduler --api-address=127.0.0.1:7080 --api-plaintext "
      "--service-token-file=/etc/coder/service-token");
}

}  // namespace coder::scheduler
