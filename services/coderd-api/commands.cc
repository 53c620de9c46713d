#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"
#include "libs/crypto/keyring.h"
#include "libs/ids/uuid.h"
#include "libs/server/log.h"
#include "libs/server/program.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/event_log_epoch.h"
#include "libs/storage/postgres/migrator.h"
#include "services/coderd-api/app.h"

namespace coder::api {
namespace {

constexpr absl::Duration kMigrationTime = absl::Minutes(10);

absl::StatusOr<std::string> OwnerUrl(const Config& config) {
  const server::Secret& url = config.migrate_url.empty() ? config.postgres_url : config.migrate_url;
  if (!url.empty()) return url.Reveal();
  return absl::InvalidArgumentError(
      "reach the database: neither migrate-url nor postgres-url is set; name the database");
}

absl::Status MigrateSchema(const Config& config) {
  ASSIGN_OR_RETURN(const std::string url, OwnerUrl(config));
  ASSIGN_OR_RETURN(const storage::MigrationReport report,
                   storage::Migrate(url, clock::Deadline::After(kMigrationTime)));
  log::Info("the schema is up to date", {{"from", report.from}, {"to", report.to}});
  return absl::OkStatus();
}

absl::Status BumpEpoch(const Config& config) {
  ASSIGN_OR_RETURN(const std::string url, OwnerUrl(config));
  pg::Pool pool({.connect = {.conninfo = url, .application_name = "coderd-api"}});
  ASSIGN_OR_RETURN(const int64_t epoch,
                   storage::BumpEpoch(pool, clock::Deadline::After(absl::Seconds(30))));
  log::Info("a new epoch has begun; every resume token of before is refused", {{"epoch", epoch}});
  return absl::OkStatus();
}

absl::Status PrintLine(const std::string& line) {
  if (std::puts(line.c_str()) < 0 || std::fflush(stdout) != 0) {
    return absl::UnavailableError("print the line: standard output is closed");
  }
  return absl::OkStatus();
}

// Ids only have to differ within one file.
std::string FreshKeyId() { return absl::StrCat("k", absl::Hex(ids::SystemRandom()())); }

absl::Status RunNamed(const Config& config, const std::string& command) {
  if (command == "migrate") return MigrateSchema(config);
  if (command == "new-epoch") return BumpEpoch(config);
  if (command == "new-key") {
    return PrintLine(crypto::Keyring::NewLine(FreshKeyId()).Reveal());
  }
  if (command == "new-service-token") return PrintLine(auth::GenerateServiceToken());
  return absl::InvalidArgumentError(absl::StrCat("run command: '", command, "' is none"));
}

}  // namespace

int RunCommand(const Config& config, const std::string& command) {
  const absl::Status done = RunNamed(config, command);
  if (done.ok()) return server::kExitOk;
  log::Error("the command failed", {{"command", command}, {"error", done}});
  return server::kExitFailed;
}

}  // namespace coder::api
