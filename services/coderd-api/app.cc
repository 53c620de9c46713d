#include "services/coderd-api/app.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "libs/ids/uuid.h"
#include "libs/server/channelz_page.h"
#include "libs/server/listener_check.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/migrator.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "services/coderd-api/debug_pages.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

// Refuses to serve on a schema this build does not know.
class SchemaCheck : public server::Part {
 public:
  explicit SchemaCheck(pg::Pool& pool) : pool_(pool) {}
  std::string name() const override { return "schema-check"; }
  absl::Status Start() override {
    return storage::CheckSchema(pool_, kMinSchema, kMaxSchema,
                                clock::Deadline::After(absl::Seconds(10)));
  }
  void Stop() override {}

 private:
  pg::Pool& pool_;
};

pg::PoolOptions PoolOptionsOf(const Config& config) {
  return {.connect = {.conninfo = config.postgres_url.Reveal(), .application_name = "coderd-api"},
          .max_connections = config.postgres_max_connections};
}

// What the pool has seen is what is known of the database without asking it.
absl::Status PoolReadiness(const pg::Pool& pool) {
  const pg::PoolStats stats = pool.Stats();
  if (stats.in_use + stats.idle > 0) return absl::OkStatus();
  return absl::UnavailableError("no session to PostgreSQL is open");
}

}  // namespace

struct App::Parts {
  Parts(const Config& config, clock::Clock& clock, crypto::Keyring ring)
      : keyring(std::move(ring)),
        metrics(server::Version(), server::Revision(), server::Compiler()),
        program(config.common.program, clock),
        pool(PoolOptionsOf(config)),
        schema_check(pool),
        admin(config.admin, metrics),
        grpc(config.grpc, clock, metrics.registry()),
        listener_check(
            {}, config.grpc, [this] { return grpc.port(); },
            [this](const absl::Status& error) { program.Fail(error); }, clock, metrics.registry()),
        credentials(pool),
        authenticator(credentials, clock, config.service_token),
        gate(authenticator, clock, config.max_call_duration),
        passwords({.max_concurrent = config.max_concurrent_password_checks}),
        ids([&clock] { return clock.Now(); }, ids::SystemRandom()),
        wiring(
            {config, clock, metrics, pool, gate, passwords, keyring, ids, grpc, admin, program}) {}

  crypto::Keyring keyring;
  metrics::Metrics metrics;
  server::Program program;
  pg::Pool pool;
  SchemaCheck schema_check;
  server::AdminServer admin;
  server::GrpcServer grpc;
  server::ListenerCheck listener_check;
  storage::PgCredentialStore credentials;
  Authenticator authenticator;
  CallGate gate;
  auth::PasswordHasher passwords;
  ids::UuidV7Generator ids;
  Wiring wiring;
};

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
App::~App() = default;

absl::StatusOr<std::unique_ptr<App>> App::Create(const Config& config,
                                                 const server::CommandLine& line,
                                                 clock::Clock& clock) {
  if (config.postgres_url.empty()) {
    return absl::InvalidArgumentError("serve: option postgres-url is not set; name the database");
  }
  ASSIGN_OR_RETURN(crypto::Keyring keyring, crypto::Keyring::Parse(config.keyring));
  auto parts = std::make_unique<Parts>(config, clock, std::move(keyring));
  Parts& p = *parts;
  p.admin.SetConfig(line.values);
  p.grpc.SetServing("coderd-api", true);
  p.admin.AddReadinessCheck("postgres", [&p] { return PoolReadiness(p.pool); });
  p.admin.AddDebugPage("database", "the sessions with PostgreSQL and who waits for one",
                       [&p] { return DatabasePage(p.pool.Stats()); });
  server::AddChannelzPage(p.admin);
  p.program.Add(p.admin);
  p.program.Add(p.schema_check);

  WireWatch(p.wiring);
  WireIdentity(p.wiring);
  WireWorkspaces(p.wiring, WireJobs(p.wiring));
  WireLifecycle(p.wiring);
  WireHousekeeping(p.wiring);
  WireTemplates(p.wiring);
  WireAudit(p.wiring);

  p.grpc.OnDrain([&p] { p.admin.SetDraining(); });
  p.program.Add(p.grpc);
  p.program.Add(p.listener_check);
  return std::unique_ptr<App>(new App(std::move(parts)));
}

int App::Run() { return parts_->program.Run(); }

}  // namespace coder::api
