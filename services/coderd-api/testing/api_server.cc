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

ApiServer::ApiServer(const std::vector<Wire>& wires, const std::function<void(Config&)>& change,
                     const Common& common)
    : service_token_(auth::GenerateServiceToken()),
      database_(common.database != nullptr ? *common.database : own_database_.emplace()),
      config_(MakeConfig(database_.conninfo("coder_api"), service_token_, change)),
      clock_(common.clock != nullptr ? *common.clock : system_clock_),
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
  StopParts();
  channel_.reset();
  // The server borrows the services.
  grpc_.reset();
  wiring_.reset();
}

void ApiServer::StartParts() {
  parts_started_ = true;
  for (server::Part* part : wiring_->parts()) {
    if (const absl::Status started = part->Start(); !started.ok()) {
      Die("start " + part->name(), started);
    }
  }
}

void ApiServer::StopParts() {
  if (!parts_started_) return;
  const auto& parts = wiring_->parts();
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    (*part)->Drain(absl::Seconds(10));
    (*part)->Stop();
  }
}

std::shared_ptr<grpc::Channel> ApiServer::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", grpc_->port()),
                                   grpc::InsecureChannelCredentials(), arguments);
}

lifecycle::UserId ApiServer::AddUser(const std::string& name, auth::SiteRoles roles,
                                     const std::vector<auth::Membership>& memberships) {
  const server::Secret password(absl::StrCat("password-of-", name));
  const lifecycle::UserId id =
      identities_.AddUser(name, ValueOrDie("hash a password", passwords_.Hash(password, Ample())));
  identities_.SetSiteRoles(id, roles);
  for (const auth::Membership& membership : memberships) {
    identities_.AddMember(membership.organization_id, id, membership.roles);
  }
  return id;
}

std::string ApiServer::AddProvisionerKey(const lifecycle::OrganizationId& organization,
                                         const lifecycle::UserId& creator) {
  const auth::NewProvisionerKey key = auth::GenerateProvisionerKey();
  identities_.AddProvisionerKey(key.secret_hash, organization, creator);
  return key.text;
}

void Authorize(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
}

}  // namespace coder::api
