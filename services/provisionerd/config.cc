#include "services/provisionerd/config.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"

namespace coder::provisionerd {

void RegisterOptions(server::OptionSet& options, Config& config) {
  options.Group("Connection to coderd-api");
  server::RegisterGrpcChannelOptions(options, "api", config.api);
  options.SecretText("provisioner-key", &config.key,
                     "key of the organization this daemon works for; make one with `coderctl "
                     "provisioners keys create`");
  options.Required();

  options.Group("Jobs");
  options.Text("name", &config.name, "name of this daemon, unique for its key (the host's name)");
  options.Integer("slots", &config.slots, 1, 256, "jobs run at once");
  options.List("provisioners", &config.provisioners, "what this daemon runs: terraform, echo");
  options.Text("engine-path", &config.engine_path,
               "OpenTofu or Terraform (tofu, then terraform, from PATH)");
  options.Text("engine-config", &config.engine_config,
               "CLI configuration of the engine, such as a provider mirror");
  options.Text("work-dir", &config.work_dir,
               "folder of the jobs' private directories, at most 40 bytes long");
  options.Text("init-cache-dir", &config.init_cache_dir,
               "folder of initialized template versions, deleted at each start (init-cache in "
               "work-dir)");
  options.Integer("init-cache-entries", &config.init_cache_entries, 0, 1000,
                  "template versions kept initialized, so that only their first job pays for it; "
                  "0: none");
  options.Integer("init-cache-bytes", &config.init_cache_bytes, int64_t{0}, int64_t{1} << 40,
                  "most disk space they take together");
  options.Duration("engine-grace", &config.engine_grace, absl::Seconds(1),
                   "time an interrupted engine has before it is killed");

  options.Group("Listeners and logs");
  server::RegisterGrpcServerOptions(options, config.grpc);
  server::RegisterAdminOptions(options, config.admin);
  server::RegisterCommonOptions(options, config.common);

  options.Check([&config]() -> std::optional<std::string> {
    for (const std::string& provisioner : config.provisioners) {
      if (provisioner != "terraform" && provisioner != "echo") {
        return absl::StrCat("provisioners: '", provisioner,
                            "' is not known; use terraform or echo");
      }
    }
    return std::nullopt;
  });
  options.Check([&config]() -> std::optional<std::string> {
    if (config.work_dir.size() <= 40 && !config.work_dir.empty() && config.work_dir[0] == '/') {
      return std::nullopt;
    }
    return absl::StrCat(
        "work-dir: '", config.work_dir,
        "' is not an absolute path of at most 40 bytes; providers put sockets below it");
  });
  options.Example(
      "provisionerd --api-address=127.0.0.1:7080 --api-plaintext "
      "--provisioner-key-file=/etc/coder/key --slots=4");
}

}  // namespace coder::provisionerd
