#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/auth/caller.h"
#include "libs/auth/password.h"
#include "libs/clock/system_clock.h"
#include "libs/crypto/keyring.h"
#include "libs/ids/uuid.h"
#include "libs/metrics/metrics.h"
#include "libs/server/admin_server.h"
#include "libs/server/grpc_server.h"
#include "libs/server/program.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_identities.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

/// The services of some slices on a fresh database and a real port, for one test: real stores as
/// database role coder_api, real gate, real sockets. Parts given to Wiring::Run wait for
/// StartParts. Anything that does not come up ends the test process with a sentence.
class ApiServer {
 public:
  using Wire = std::function<void(Wiring&)>;

  /// What replicas have in common. What is null is the server's own: a fresh database, the system's
  /// clock. The rest must outlive the server.
  struct Common {
    storage::MigratedDatabase* database = nullptr;
    clock::Clock* clock = nullptr;
  };

  /// Serves what `wires` wire, with `change` made to the configuration first.
  explicit ApiServer(
      const std::vector<Wire>& wires, const std::function<void(Config&)>& change = [](Config&) {},
      const Common& common = {nullptr, nullptr});
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// Starts the background work of the slices; it ends with the server.
  void StartParts();

  /// A channel of its own connection.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  /// The channel most calls use.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  storage::MigratedDatabase& database() { return database_; }
  storage::SampleIdentities& identities() { return identities_; }
  Wiring& wiring() { return *wiring_; }
  const Config& config() const { return config_; }

  /// An organization; the first is the default one.
  lifecycle::OrganizationId AddOrganization(const std::string& name) {
    return identities_.AddOrganization(name);
  }
  /// A user with password "password-of-<name>".
  lifecycle::UserId AddUser(const std::string& name, auth::SiteRoles roles = {},
                            const std::vector<auth::Membership>& memberships = {});
  /// A session of the user: the token's text.
  std::string AddSession(const lifecycle::UserId& user, absl::Duration lifetime = absl::Hours(1)) {
    return identities_.AddSession(user, lifetime);
  }
  /// A provisioner key: its text.
  std::string AddProvisionerKey(const lifecycle::OrganizationId& organization,
                                const lifecycle::UserId& creator);
  /// The service token the server accepts.
  const std::string& service_token() const { return service_token_; }

  /// Runs a statement as the superuser.
  pg::Result Run(const std::string& sql, std::vector<pg::Param> params = {}) {
    return identities_.Run(sql, std::move(params));
  }

 private:
  void StopParts();

  const std::string service_token_;
  std::optional<storage::MigratedDatabase> own_database_;
  storage::MigratedDatabase& database_;
  storage::SampleIdentities identities_{database_.pool()};
  Config config_;
  clock::SystemClock system_clock_;
  clock::Clock& clock_;
  metrics::Metrics metrics_{"test", "test", "test"};
  server::Program program_;
  pg::Pool pool_;
  storage::PgCredentialStore credentials_;
  Authenticator authenticator_;
  CallGate gate_;
  auth::PasswordHasher passwords_;
  crypto::Keyring keyring_;
  ids::UuidV7Generator ids_;
  server::AdminServer admin_;
  std::unique_ptr<server::GrpcServer> grpc_;
  std::unique_ptr<Wiring> wiring_;
  bool parts_started_ = false;
  std::shared_ptr<grpc::Channel> channel_;
};

/// Puts a token on a call.
void Authorize(grpc::ClientContext& context, const std::string& token);

/// Calls a unary method of a stub with a token ("" sends none) and a deadline of 20 s; the answer
/// or the error with its reason, field violations and retry delay:
/// `Call<v1::GetUserResponse>(token, request, [&](auto... a) { return stub->GetUser(a...); })`.
template <typename Response, typename Request, typename Method>
absl::StatusOr<Response> Call(const std::string& token, const Request& request, Method method) {
  grpc::ClientContext context;
  Authorize(context, token);
  Response response;
  const absl::Status status = server::StatusFromGrpc(method(&context, request, &response));
  if (!status.ok()) return status;
  return response;
}

}  // namespace coder::api
