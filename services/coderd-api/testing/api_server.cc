#include "services/coderd-api/testing/api_server.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"

namespace coder::api {
namespace {

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

[[noreturn]] void Die(const std::string& attempt, const absl::Status& status) {
  std::fprintf(stderr, "%s: %s\n", attempt.c_str(), status.ToString().c_str());
  std::abort();
}

template <typename T>
T ValueOrDie(const std::string& attempt, absl::StatusOr<T> value) {
  if (!value.ok()) Die(attempt, value.status());
  return *std::move(value);
}

// Roles of a cluster outlive its databases; the first test of a process makes the login role.
std::string ApiConninfo(storage::MigratedDatabase& database) {
  ValueOrDie("make the login role",
             database.pool().Execute("DO $$ BEGIN CREATE ROLE api_login LOGIN IN ROLE coder_api; "
                                     "EXCEPTION WHEN duplicate_object THEN NULL; END $$",
                                     {}, Ample()));
  return database.conninfo("api_login");
}

Config MakeConfig(const std::string& conninfo, const std::string& service_token,
                  const std::function<void(Config&)>& change) {
  Config config;
  config.postgres_url = server::Secret(conninfo);
  config.service_token = server::Secret(service_token);
  config.keyring = crypto::Keyring::NewLine("test");
  config.experiments = {"workspace-build-updates"};
  config.grpc.listen = "127.0.0.1:0";
  config.grpc.drain_delay = absl::ZeroDuration();
  change(config);
  return config;
}

}  // namespace

ApiServer::ApiServer(const std::vector<Wire>& wires, const std::function<void(Config&)>& change)
    : service_token_(auth::GenerateServiceToken()),
      config_(MakeConfig(ApiConninfo(database_), service_token_, change)),
      program_({}, clock_),
      pool_({.connect = {.conninfo = config_.postgres_url.Reveal(),
                         .application_name = "coderd-api"}}),
      credentials_(pool_),
      authenticator_(credentials_, clock_, config_.service_token),
      gate_(authenticator_, clock_, config_.max_call_duration),
      passwords_({.max_concurrent = config_.max_concurrent_password_checks}),
      keyring_(ValueOrDie("read the keyring", crypto::Keyring::Parse(config_.keyring))),
      ids_([this] { return clock_.Now(); }, ids::SystemRandom()),
      admin_(config_.admin, metrics_),
      grpc_(std::make_unique<server::GrpcServer>(config_.grpc, clock_, metrics_.registry())),
      wiring_(new Wiring({config_, clock_, metrics_, pool_, gate_, passwords_, keyring_, ids_,
                          *grpc_, admin_, program_})) {
  for (const Wire& wire : wires) wire(*wiring_);
  if (const absl::Status started = grpc_->Start(); !started.ok()) Die("start the server", started);
  channel_ = NewChannel();
}

ApiServer::~ApiServer() {
  grpc_->Drain(absl::ZeroDuration());
  grpc_->Stop();
  channel_.reset();
  // The server borrows the services.
  grpc_.reset();
  wiring_.reset();
}

std::shared_ptr<grpc::Channel> ApiServer::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", grpc_->port()),
                                   grpc::InsecureChannelCredentials(), arguments);
}

pg::Result ApiServer::Run(const std::string& sql, const std::vector<pg::Param>& params) {
  return ValueOrDie(sql, database_.pool().Execute(sql, params, Ample()));
}

lifecycle::OrganizationId ApiServer::AddOrganization(const std::string& name) {
  const lifecycle::OrganizationId id(ids_.Next());
  Run("INSERT INTO organizations (id, name, is_default) "
      "SELECT $1, $2, NOT EXISTS (SELECT FROM organizations)",
      {id.ToString(), name});
  return id;
}

lifecycle::UserId ApiServer::AddUser(const std::string& name, auth::SiteRoles roles,
                                     const std::vector<auth::Membership>& memberships) {
  const lifecycle::UserId id(ids_.Next());
  const server::Secret password(absl::StrCat("password-of-", name));
  Run("INSERT INTO users (id, email, username, password_hash, site_roles) "
      "VALUES ($1, $2, $3, $4, $5)",
      {id.ToString(), absl::StrCat(name, "@example.com"), name,
       ValueOrDie("hash", passwords_.Hash(password, Ample())), auth::ToWords(roles)});
  for (const auth::Membership& membership : memberships) {
    Run("INSERT INTO organization_members (organization_id, user_id, roles) VALUES ($1, $2, $3)",
        {membership.organization_id.ToString(), id.ToString(), auth::ToWords(membership.roles)});
  }
  return id;
}

std::string ApiServer::AddSession(const lifecycle::UserId& user, absl::Duration lifetime) {
  const auth::NewApiKey key = auth::GenerateApiKey();
  Run("INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at) "
      "VALUES ($1, $2, $3, 'session', $4::interval, now() + $4::interval)",
      {key.id, pg::Bytea{key.secret_hash}, user.ToString(), lifetime});
  return key.text;
}

std::string ApiServer::AddProvisionerKey(const lifecycle::OrganizationId& organization,
                                         const lifecycle::UserId& creator) {
  const auth::NewProvisionerKey key = auth::GenerateProvisionerKey();
  const lifecycle::ProvisionerKeyId id(ids_.Next());
  Run("INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by) "
      "VALUES ($1, $2, $3, $4, $5)",
      {id.ToString(), organization.ToString(), id.ToString(), pg::Bytea{key.secret_hash},
       creator.ToString()});
  return key.text;
}

void Authorize(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
}

}  // namespace coder::api
