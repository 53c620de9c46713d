#include "services/coderd-api/auth_service.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"
#include "libs/events/proto_time.h"
#include "libs/lifecycle/names.h"
#include "libs/server/secret.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/field_errors.h"
#include "services/coderd-api/identity_fields.h"
#include "services/coderd-api/proto_convert_identity.h"
#include "services/coderd-api/references.h"

namespace coder::api {
namespace {

constexpr absl::Duration kDefaultTokenLifetime = absl::Hours(7 * 24);
constexpr absl::Duration kMinTokenLifetime = absl::Minutes(1);
constexpr absl::Duration kMaxTokenLifetime = absl::Hours(365 * 24);
constexpr int kMaxMemberships = 10'000;

absl::Status BadCredentials() {
  return status::WithReason(
      absl::UnauthenticatedError("log in: the e-mail or the password is wrong"), "BAD_CREDENTIALS");
}

// Deleted since the token was last looked up.
absl::Status AccountDeleted() {
  return status::WithReason(absl::UnauthenticatedError("identify caller: the account was deleted"),
                            "TOKEN_REVOKED");
}

std::string TokenWords(const std::string& id) { return absl::StrCat("token '", id, "'"); }

absl::StatusOr<absl::Duration> TokenLifetime(const v1::CreateTokenRequest& request) {
  if (!request.has_lifetime()) return kDefaultTokenLifetime;
  const absl::Duration lifetime = events::FromProto(request.lifetime());
  if (lifetime >= kMinTokenLifetime && lifetime <= kMaxTokenLifetime) return lifetime;
  return InvalidField(
      "lifetime", absl::StrCat("is ", absl::FormatDuration(lifetime), "; use 1 minute to 1 year"));
}

}  // namespace

AuthService::AuthService(const Parts& parts, const Limits& limits)
    : parts_(parts),
      limits_(limits),
      logins_of_email_(limits.login_burst_per_email, absl::Minutes(1), parts.clock),
      logins_of_address_(limits.login_burst_per_address, absl::Minutes(1), parts.clock) {}

grpc::Status AuthService::GetFirstUser(grpc::ServerContext* context,
                                       const v1::GetFirstUserRequest* request,
                                       v1::GetFirstUserResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.AuthService/GetFirstUser", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const bool exists, parts_.users.HasFirstUser(call.deadline));
                      response->set_exists(exists);
                      return absl::OkStatus();
                    });
}

grpc::Status AuthService::CreateFirstUser(grpc::ServerContext* context,
                                          const v1::CreateFirstUserRequest* request,
                                          v1::CreateFirstUserResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.AuthService/CreateFirstUser", *request,
      [&](const CallContext& call) { return CreateFirst(call, *request, *response); });
}

absl::Status AuthService::CreateFirst(const CallContext& call,
                                      const v1::CreateFirstUserRequest& request,
                                      v1::CreateFirstUserResponse& response) {
  RETURN_IF_ERROR(logins_of_address_.Admit(call.peer, "create first user"));
  FieldErrors errors("create first user");
  errors.Add(lifecycle::CheckEmail("email", request.email()));
  errors.Add(lifecycle::CheckName("username", request.username()));
  errors.Add(CheckFullName("name", request.name()));
  errors.Add(lifecycle::CheckPassword("password", request.password()));
  RETURN_IF_ERROR(errors.ToStatus());
  const server::Secret password(request.password());
  ASSIGN_OR_RETURN(const std::string hash, parts_.passwords.Hash(password, call.deadline));
  const lifecycle::OrganizationId organization(parts_.ids.Next());
  ASSIGN_OR_RETURN(const storage::UserRecord user,
                   parts_.users.CreateFirstUser({.id = lifecycle::UserId(parts_.ids.Next()),
                                                 .email = request.email(),
                                                 .username = request.username(),
                                                 .name = request.name(),
                                                 .password_hash = hash},
                                                organization, call.deadline));
  call.Concerns("user", user.id.ToString(), user.username);
  call.MadeBy(user.id, user.username, "");
  Encode(user, *response.mutable_user());
  response.set_organization_id(organization.ToString());
  return absl::OkStatus();
}

grpc::Status AuthService::Login(grpc::ServerContext* context, const v1::LoginRequest* request,
                                v1::LoginResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.AuthService/Login", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const storage::UserRecord user,
                                       CheckPassword(call, *request));
                      return OpenSession(call, user, *response);
                    });
}

absl::StatusOr<storage::UserRecord> AuthService::CheckPassword(const CallContext& call,
                                                               const v1::LoginRequest& request) {
  // Anything else in its place may be a password.
  if (lifecycle::CheckEmail("email", request.email()).ok()) {
    call.Concerns("user", "", request.email());
  }
  RETURN_IF_ERROR(logins_of_address_.Admit(call.peer, "log in"));
  // What no account can have is refused before it costs a hash or a bucket.
  if (request.email().size() > lifecycle::kMaxEmailLength ||
      request.password().size() > lifecycle::kMaxPasswordLength) {
    return BadCredentials();
  }
  RETURN_IF_ERROR(logins_of_email_.Admit(absl::AsciiStrToLower(request.email()), "log in"));
  const auto found = parts_.users.FindByEmail(request.email(), call.deadline);
  if (!found.ok() && !absl::IsNotFound(found.status())) return found.status();
  const std::string hash = found.ok() ? found->password_hash : std::string();
  ASSIGN_OR_RETURN(
      const bool matches,
      parts_.passwords.Verify(hash, server::Secret(request.password()), call.deadline));
  if (!found.ok() || !matches) return BadCredentials();
  if (found->user.status == lifecycle::UserStatus::kSuspended) {
    return status::WithReason(
        absl::UnauthenticatedError("log in: the account is suspended; ask an administrator"),
        "USER_SUSPENDED");
  }
  return found->user;
}

absl::Status AuthService::OpenSession(const CallContext& call, const storage::UserRecord& user,
                                      v1::LoginResponse& response) {
  const auth::NewApiKey key = auth::GenerateApiKey();
  call.Concerns("user", user.id.ToString(), user.username);
  call.MadeBy(user.id, user.username, key.id);
  ASSIGN_OR_RETURN(const storage::ApiKeyRecord stored,
                   parts_.api_keys.Create({.id = key.id,
                                           .hashed_secret = key.secret_hash,
                                           .user_id = user.id,
                                           .name = "",
                                           .lifetime = limits_.session_lifetime},
                                          call.deadline));
  // Read again: the log-in may have woken a dormant account.
  ASSIGN_OR_RETURN(const storage::UserRecord now, parts_.users.Find(user.id, call.deadline));
  response.set_session_token(key.text);
  *response.mutable_expire_time() = events::ToProto(stored.expires_at);
  Encode(now, *response.mutable_user());
  return absl::OkStatus();
}

grpc::Status AuthService::Logout(grpc::ServerContext* context, const v1::LogoutRequest* request,
                                 v1::LogoutResponse*) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.AuthService/Logout", *request,
                    [&](const CallContext& call) {
                      call.Concerns("token", call.caller->api_key_id, "");
                      const absl::Status revoked =
                          parts_.api_keys.Revoke(call.caller->api_key_id, call.deadline);
                      parts_.gate.authenticator().Forget(*call.caller);
                      // Ended by somebody else at this moment: it has ended.
                      return absl::IsNotFound(revoked) ? absl::OkStatus() : revoked;
                    });
}

grpc::Status AuthService::WhoAmI(grpc::ServerContext* context, const v1::WhoAmIRequest* request,
                                 v1::WhoAmIResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.AuthService/WhoAmI", *request,
      [&](const CallContext& call) -> absl::Status {
        const auto user = parts_.users.Find(call.caller->user_id, call.deadline);
        if (absl::IsNotFound(user.status())) return AccountDeleted();
        RETURN_IF_ERROR(user.status());
        Encode(*user, *response->mutable_user());
        auth::Scope own;
        for (const auth::Membership& membership : call.caller->memberships) {
          own.organizations.push_back(membership.organization_id);
        }
        ASSIGN_OR_RETURN(const std::vector<storage::OrganizationRecord> organizations,
                         parts_.organizations.List(own, "", kMaxMemberships, call.deadline));
        for (const storage::OrganizationRecord& organization : organizations) {
          v1::Membership* membership = response->add_memberships();
          membership->set_organization_id(organization.id.ToString());
          membership->set_organization_name(organization.name);
          const auth::OrganizationRoles roles = call.caller->MembershipIn(organization.id)->roles;
          for (const std::string& role : auth::ToWords(roles)) membership->add_roles(role);
        }
        return absl::OkStatus();
      });
}

grpc::Status AuthService::CreateToken(grpc::ServerContext* context,
                                      const v1::CreateTokenRequest* request,
                                      v1::CreateTokenResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.AuthService/CreateToken", *request,
                    [&](const CallContext& call) -> absl::Status {
                      RETURN_IF_ERROR(CheckLabel("name", request->name()));
                      ASSIGN_OR_RETURN(const absl::Duration lifetime, TokenLifetime(*request));
                      const auth::NewApiKey key = auth::GenerateApiKey();
                      ASSIGN_OR_RETURN(const storage::ApiKeyRecord stored,
                                       parts_.api_keys.Create({.id = key.id,
                                                               .hashed_secret = key.secret_hash,
                                                               .user_id = call.caller->user_id,
                                                               .name = request->name(),
                                                               .lifetime = lifetime},
                                                              call.deadline));
                      call.Concerns("token", stored.id, request->name());
                      Encode(stored, *response->mutable_token());
                      response->set_secret(key.text);
                      return absl::OkStatus();
                    });
}

grpc::Status AuthService::ListTokens(grpc::ServerContext* context,
                                     const v1::ListTokensRequest* request,
                                     v1::ListTokensResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.AuthService/ListTokens", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const std::vector<storage::ApiKeyRecord> keys,
                                       parts_.api_keys.List(call.caller->user_id, call.deadline));
                      for (const auto& key : keys) Encode(key, *response->add_tokens());
                      return absl::OkStatus();
                    });
}

grpc::Status AuthService::RevokeToken(grpc::ServerContext* context,
                                      const v1::RevokeTokenRequest* request,
                                      v1::RevokeTokenResponse*) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.AuthService/RevokeToken", *request,
      [&](const CallContext& call) -> absl::Status {
        const std::string words = TokenWords(request->id());
        const auto key = parts_.api_keys.Find(request->id(), call.deadline);
        if (absl::IsNotFound(key.status())) return auth::NotFound(words);
        RETURN_IF_ERROR(key.status());
        ASSIGN_OR_RETURN(const storage::UserRecord user,
                         parts_.users.Find(key->user_id, call.deadline));
        call.Concerns("token", key->id, key->name);
        call.Note("user", user.username);
        RETURN_IF_ERROR(call.Authorize(auth::Action::kRevokeToken, ObjectOf(user), words));
        RETURN_IF_ERROR(parts_.api_keys.Revoke(key->id, call.deadline));
        if (key->id == call.caller->api_key_id) parts_.gate.authenticator().Forget(*call.caller);
        return absl::OkStatus();
      });
}

}  // namespace coder::api
