#include "services/coderd-api/config.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/schedule/cron.h"
#include "services/coderd-api/experiments.h"

namespace coder::api {
namespace {

void RegisterStores(server::OptionSet& set, Config& config) {
  set.Group("PostgreSQL and NATS");
  set.SecretText("postgres-url", &config.postgres_url,
                 "libpq address of the database; may list every host of a cluster");
  set.SecretText("migrate-url", &config.migrate_url,
                 "address as the schema's owner, for migrate and new-epoch; unset: postgres-url");
  set.Integer("postgres-max-connections", &config.postgres_max_connections, 2, 1000,
              "database sessions open at once");
  set.SecretText("nats-url", &config.nats_url,
                 "address of NATS; unset: watches follow the log by polling the database");
}

void RegisterDeployment(server::OptionSet& set, Config& config) {
  set.Group("Deployment");
  set.Text("access-url", &config.access_url, "URL people and agents reach the deployment under");
  set.List("experiments", &config.experiments,
           "experiments to enable, such as " + std::string(kWorkspaceBuildUpdates));
  set.Text("quiet-hours-default-schedule", &config.quiet_hours.default_schedule,
           "when workspaces whose template requires a stop are stopped, once a day");
  set.Bool("allow-custom-quiet-hours", &config.quiet_hours.users_choose,
           "let users choose their own quiet hours");
  set.SecretText("keyring", &config.keyring,
                 "keys for what is stored encrypted, one a line, the newest last; see new-key");
  set.SecretText("service-token", &config.service_token,
                 "token the autostart-scheduler presents; see new-service-token");
}

void RegisterLimits(server::OptionSet& set, Config& config) {
  set.Group("Times and limits");
  set.Duration("session-lifetime", &config.session_lifetime, absl::Minutes(1),
               "how long a session lasts after its last use");
  set.Duration("lease-duration", &config.lease_duration, absl::Seconds(3),
               "how long a provisioner holds a job after each heartbeat");
  set.Duration("audit-retention", &config.audit_retention, absl::Hours(1),
               "how long records of the audit log are kept");
  set.Duration("max-call-duration", &config.max_call_duration, absl::Seconds(1),
               "the longest a unary call may take, whatever its client allows");
  set.Integer("max-concurrent-password-checks", &config.max_concurrent_password_checks, 1, 64,
              "password checks at once; each takes 19 MiB and a core");
  set.Integer("login-burst-per-email", &config.login_burst_per_email, 1, 100'000,
              "log-ins of one e-mail at once, and then a minute");
  set.Integer("login-burst-per-address", &config.login_burst_per_address, 1, 1'000'000,
              "log-ins of one client address at once, and then a minute");
  set.Integer("max-watches-per-caller", &config.max_watches_per_caller, 1, 100'000,
              "watches of all builds one caller may have open");
  set.Integer("max-watches", &config.max_watches, 1, 1'000'000,
              "watches of all builds this process serves at once");
  set.Integer("max-snapshots", &config.max_snapshots, 1, 10'000,
              "watches that take their snapshot at once; each reads the database page by page");
  set.Integer("ring-events", &config.ring_events, 64, 16'777'216,
              "events kept in memory for watches; older ones are read from the log");
  set.Integer("watch-batch-bytes", &config.watch_batch_bytes, 1, 1 << 20,
              "events of one response of a watch; one that is larger comes alone");
}

std::optional<std::string> UnknownExperiment(const Config& config) {
  for (const std::string& name : config.experiments) {
    if (FindExperiment(name) == nullptr) {
      return absl::StrCat("option experiments: '", name, "' is no experiment of this version; use ",
                          KnownExperimentNames());
    }
  }
  return std::nullopt;
}

std::optional<std::string> BadAccessUrl(const Config& config) {
  const std::string& url = config.access_url;
  if (absl::StartsWith(url, "http://") || absl::StartsWith(url, "https://")) return std::nullopt;
  return absl::StrCat("option access-url: '", url, "' is no URL; begin with http:// or https://");
}

std::optional<std::string> BadQuietHours(const Config& config) {
  const auto cron = schedule::Cron::ParseDaily(config.quiet_hours.default_schedule);
  if (cron.ok()) return std::nullopt;
  return absl::StrCat("option quiet-hours-default-schedule: ", cron.status().message());
}

}  // namespace

void RegisterOptions(server::OptionSet& set, Config& config) {
  set.Command("serve", "serves the APIs");
  set.Command("migrate", "brings the database schema up to this version and ends");
  set.Command("new-epoch", "invalidates all resume tokens, as after a restore, and ends");
  set.Command("new-key", "prints a line for the keyring and ends");
  set.Command("new-service-token", "prints a token for the autostart-scheduler and ends");
  server::RegisterCommonOptions(set, config.common);
  server::RegisterGrpcServerOptions(set, config.grpc);
  server::RegisterAdminOptions(set, config.admin);
  RegisterStores(set, config);
  RegisterDeployment(set, config);
  RegisterLimits(set, config);
  set.Check([&config] { return UnknownExperiment(config); });
  set.Check([&config] { return BadAccessUrl(config); });
  set.Check([&config] { return BadQuietHours(config); });
  set.Example("coderd-api migrate --migrate-url-file=/run/secrets/owner-url");
  set.Example(
      "coderd-api --grpc-listen=:3001 --keyring-file=/run/secrets/keyring "
      "--experiments=workspace-build-updates");
}

}  // namespace coder::api
