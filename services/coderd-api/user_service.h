#pragma once

#include <string>

#include "coder/api/v1/user.grpc.pb.h"
#include "libs/auth/password.h"
#include "libs/auth/rate_limiter.h"
#include "libs/clock/clock.h"
#include "libs/ids/uuid.h"
#include "libs/storage/user_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// The accounts. Thread-safe.
class UserService final : public v1::UserService::Service {
 public:
  static constexpr char kName[] = "coder.api.v1.UserService";

  /// What it works with; all must outlive the service.
  struct Parts {
    const CallGate& gate;
    storage::UserStore& users;
    auth::PasswordHasher& passwords;
    ids::UuidV7Generator& ids;
    clock::Clock& clock;
  };

  /// `password_burst`: tries of one's old password at once, and then a minute.
  UserService(const Parts& parts, int password_burst);

  grpc::Status CreateUser(grpc::ServerContext* context, const v1::CreateUserRequest* request,
                          v1::CreateUserResponse* response) override;
  grpc::Status GetUser(grpc::ServerContext* context, const v1::GetUserRequest* request,
                       v1::GetUserResponse* response) override;
  grpc::Status ListUsers(grpc::ServerContext* context, const v1::ListUsersRequest* request,
                         v1::ListUsersResponse* response) override;
  grpc::Status UpdateUser(grpc::ServerContext* context, const v1::UpdateUserRequest* request,
                          v1::UpdateUserResponse* response) override;
  grpc::Status SetUserRoles(grpc::ServerContext* context, const v1::SetUserRolesRequest* request,
                            v1::SetUserRolesResponse* response) override;
  grpc::Status SetUserStatus(grpc::ServerContext* context, const v1::SetUserStatusRequest* request,
                             v1::SetUserStatusResponse* response) override;
  grpc::Status ChangePassword(grpc::ServerContext* context,
                              const v1::ChangePasswordRequest* request,
                              v1::ChangePasswordResponse* response) override;
  grpc::Status DeleteUser(grpc::ServerContext* context, const v1::DeleteUserRequest* request,
                          v1::DeleteUserResponse* response) override;

 private:
  absl::Status Create(const CallContext& call, const v1::CreateUserRequest& request, v1::User& out);
  absl::Status List(const CallContext& call, const v1::ListUsersRequest& request,
                    v1::ListUsersResponse& response);
  absl::Status SetRoles(const CallContext& call, const v1::SetUserRolesRequest& request,
                        v1::User& out);
  absl::Status SetPassword(const CallContext& call, const v1::ChangePasswordRequest& request);
  absl::Status CheckOldPassword(const CallContext& call, const storage::UserRecord& user,
                                const std::string& old_password);

  const Parts parts_;
  auth::RateLimiter password_tries_;
};

}  // namespace coder::api
