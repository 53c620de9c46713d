#pragma once

#include <string>

#include "coder/api/v1/auth.grpc.pb.h"
#include "libs/auth/password.h"
#include "libs/auth/rate_limiter.h"
#include "libs/clock/clock.h"
#include "libs/ids/uuid.h"
#include "libs/storage/api_key_store.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/user_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// The first user, log-in, sessions and API tokens. Thread-safe.
class AuthService final : public v1::AuthService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.AuthService";

  struct Limits {
    absl::Duration session_lifetime = absl::Hours(24);
    /// Log-ins at once, and then a minute.
    int login_burst_per_email = 10;
    int login_burst_per_address = 60;
  };

  /// What it works with; all must outlive the service.
  struct Parts {
    const CallGate& gate;
    storage::UserStore& users;
    storage::OrganizationStore& organizations;
    storage::ApiKeyStore& api_keys;
    auth::PasswordHasher& passwords;
    ids::UuidV7Generator& ids;
    clock::Clock& clock;
  };

  AuthService(const Parts& parts, const Limits& limits);

  grpc::Status GetFirstUser(grpc::ServerContext* context, const v1::GetFirstUserRequest* request,
                            v1::GetFirstUserResponse* response) override;
  grpc::Status CreateFirstUser(grpc::ServerContext* context,
                               const v1::CreateFirstUserRequest* request,
                               v1::CreateFirstUserResponse* response) override;
  grpc::Status Login(grpc::ServerContext* context, const v1::LoginRequest* request,
                     v1::LoginResponse* response) override;
  grpc::Status Logout(grpc::ServerContext* context, const v1::LogoutRequest* request,
                      v1::LogoutResponse* response) override;
  grpc::Status WhoAmI(grpc::ServerContext* context, const v1::WhoAmIRequest* request,
                      v1::WhoAmIResponse* response) override;
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                           v1::CreateTokenResponse* response) override;
  grpc::Status ListTokens(grpc::ServerContext* context, const v1::ListTokensRequest* request,
                          v1::ListTokensResponse* response) override;
  grpc::Status RevokeToken(grpc::ServerContext* context, const v1::RevokeTokenRequest* request,
                           v1::RevokeTokenResponse* response) override;

 private:
  absl::Status CreateFirst(const CallContext& call, const v1::CreateFirstUserRequest& request,
                           v1::CreateFirstUserResponse& response);
  absl::StatusOr<storage::UserRecord> CheckPassword(const CallContext& call,
                                                    const v1::LoginRequest& request);
  absl::Status OpenSession(const CallContext& call, const storage::UserRecord& user,
                           v1::LoginResponse& response);

  const Parts parts_;
  const Limits limits_;
  auth::RateLimiter logins_of_email_;
  auth::RateLimiter logins_of_address_;
};

}  // namespace coder::api
