#include "services/coderd-api/user_service.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/lifecycle/names.h"
#include "libs/server/secret.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/field_errors.h"
#include "services/coderd-api/identity_fields.h"
#include "services/coderd-api/proto_convert_identity.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using auth::Action;
using storage::UserRecord;

absl::StatusOr<std::vector<lifecycle::OrganizationId>> OrganizationIds(
    const v1::CreateUserRequest& request) {
  std::vector<lifecycle::OrganizationId> ids;
  for (const std::string& text : request.organization_ids()) {
    ASSIGN_OR_RETURN(const auto id, IdField<lifecycle::OrganizationId>("organization_ids", text));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

// The stored hash of a request must not become a way to guess the password in it.
v1::CreateUserRequest WithoutPassword(v1::CreateUserRequest request) {
  request.clear_password();
  return request;
}

absl::StatusOr<storage::UserChange> ChangeOf(const v1::UpdateUserRequest& request) {
  const v1::User& user = request.user();
  storage::UserChange change;
  FieldErrors errors("update user");
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "username") {
      change.username = user.username();
      errors.Add(lifecycle::CheckName("user.username", user.username()));
    } else if (path == "email") {
      change.email = user.email();
      errors.Add(lifecycle::CheckEmail("user.email", user.email()));
    } else if (path == "name") {
      change.name = user.name();
      errors.Add(CheckFullName("user.name", user.name()));
    } else {
      errors.Add(InvalidField("update_mask",
                              absl::StrCat("names '", path, "'; use username, email or name")));
    }
  }
  if (request.update_mask().paths().empty()) {
    errors.Add(InvalidField("update_mask", "is empty; name what to change"));
  }
  RETURN_IF_ERROR(errors.ToStatus());
  return change;
}

absl::StatusOr<lifecycle::UserStatus> StatusOf(const v1::SetUserStatusRequest& request) {
  if (request.status() == v1::USER_STATUS_ACTIVE) return lifecycle::UserStatus::kActive;
  if (request.status() == v1::USER_STATUS_SUSPENDED) return lifecycle::UserStatus::kSuspended;
  return InvalidField("status", "is neither ACTIVE nor SUSPENDED");
}

}  // namespace

UserService::UserService(const Parts& parts, int password_burst)
    : parts_(parts), password_tries_(password_burst, absl::Minutes(1), parts.clock) {}

grpc::Status UserService::CreateUser(grpc::ServerContext* context,
                                     const v1::CreateUserRequest* request,
                                     v1::CreateUserResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.UserService/CreateUser", *request,
      [&](const CallContext& call) { return Create(call, *request, *response->mutable_user()); });
}

absl::Status UserService::Create(const CallContext& call, const v1::CreateUserRequest& request,
                                 v1::User& out) {
  FieldErrors errors("create user");
  errors.Add(lifecycle::CheckEmail("email", request.email()));
  errors.Add(lifecycle::CheckName("username", request.username()));
  errors.Add(CheckFullName("name", request.name()));
  errors.Add(lifecycle::CheckPassword("password", request.password()));
  const auto organizations = OrganizationIds(request);
  errors.Add(organizations.status());
  const auto key = RequestKeyOf(call, request.request_id(), WithoutPassword(request));
  errors.Add(key.status());
  RETURN_IF_ERROR(errors.ToStatus());
  const server::Secret password(request.password());
  ASSIGN_OR_RETURN(const std::string hash, parts_.passwords.Hash(password, call.deadline));
  ASSIGN_OR_RETURN(const UserRecord user,
                   parts_.users.Create({.id = lifecycle::UserId(parts_.ids.Next()),
                                        .email = request.email(),
                                        .username = request.username(),
                                        .name = request.name(),
                                        .password_hash = hash,
                                        .organizations = *organizations},
                                       *key, call.deadline));
  call.Concerns("user", user.id.ToString(), user.username);
  Encode(user, out);
  return absl::OkStatus();
}

grpc::Status UserService::GetUser(grpc::ServerContext* context, const v1::GetUserRequest* request,
                                  v1::GetUserResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.UserService/GetUser", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const UserRecord user,
                                       AuthorizedUser(parts_.users, call, Action::kReadUser, "user",
                                                      request->user()));
                      Encode(user, *response->mutable_user());
                      return absl::OkStatus();
                    });
}

grpc::Status UserService::ListUsers(grpc::ServerContext* context,
                                    const v1::ListUsersRequest* request,
                                    v1::ListUsersResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.UserService/ListUsers", *request,
                    [&](const CallContext& call) { return List(call, *request, *response); });
}

absl::Status UserService::List(const CallContext& call, const v1::ListUsersRequest& request,
                               v1::ListUsersResponse& response) {
  const std::string filter = absl::StrCat("users:", request.search());
  const auth::Scope scope = auth::ScopeOf(*call.caller, Action::kReadUser);
  const int size = storage::ClampPageSize(request.page_size());
  storage::UserQuery query{.search = request.search(), .limit = size + 1};
  if (!scope.everything) query.only = call.caller->user_id;
  ASSIGN_OR_RETURN(query.after_username, storage::DecodePageToken(filter, request.page_token()));
  ASSIGN_OR_RETURN(std::vector<UserRecord> users, parts_.users.List(query, call.deadline));
  if (users.size() > static_cast<size_t>(size)) {
    users.resize(size);
    response.set_next_page_token(storage::EncodePageToken(filter, users.back().username));
  }
  for (const UserRecord& user : users) Encode(user, *response.add_users());
  return absl::OkStatus();
}

grpc::Status UserService::UpdateUser(grpc::ServerContext* context,
                                     const v1::UpdateUserRequest* request,
                                     v1::UpdateUserResponse* response) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.UserService/UpdateUser", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const UserRecord user,
                                       AuthorizedUser(parts_.users, call, Action::kUpdateUser,
                                                      "user.id", request->user().id()));
                      ASSIGN_OR_RETURN(const storage::UserChange change, ChangeOf(*request));
                      ASSIGN_OR_RETURN(
                          const UserRecord updated,
                          parts_.users.Update(user.id, change, RevisionOf(request->user().etag()),
                                              call.deadline));
                      Encode(updated, *response->mutable_user());
                      return absl::OkStatus();
                    });
}

grpc::Status UserService::SetUserRoles(grpc::ServerContext* context,
                                       const v1::SetUserRolesRequest* request,
                                       v1::SetUserRolesResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.UserService/SetUserRoles", *request,
      [&](const CallContext& call) { return SetRoles(call, *request, *response->mutable_user()); });
}

absl::Status UserService::SetRoles(const CallContext& call, const v1::SetUserRolesRequest& request,
                                   v1::User& out) {
  ASSIGN_OR_RETURN(const UserRecord user, AuthorizedUser(parts_.users, call, Action::kSetUserRoles,
                                                         "user", request.user()));
  ASSIGN_OR_RETURN(const auth::SiteRoles roles,
                   auth::ParseSiteRoles("roles", {request.roles().begin(), request.roles().end()}));
  call.Note("roles", absl::StrJoin(auth::ToWords(roles), ","));
  // Giving `owner` needs what changing an owner needs.
  if (roles.Has(auth::SiteRole::kOwner)) {
    RETURN_IF_ERROR(call.Authorize(Action::kSetUserRoles,
                                   {.owner_id = user.id, .is_site_owner = true},
                                   UserWords(request.user())));
  }
  ASSIGN_OR_RETURN(const UserRecord updated,
                   parts_.users.SetRoles(user.id, roles, user.revision, call.deadline));
  Encode(updated, out);
  return absl::OkStatus();
}

grpc::Status UserService::SetUserStatus(grpc::ServerContext* context,
                                        const v1::SetUserStatusRequest* request,
                                        v1::SetUserStatusResponse* response) {
  return HandleCall(
      parts_.gate, context, "/coder.api.v1.UserService/SetUserStatus", *request,
      [&](const CallContext& call) -> absl::Status {
        ASSIGN_OR_RETURN(
            const UserRecord user,
            AuthorizedUser(parts_.users, call, Action::kSetUserStatus, "user", request->user()));
        ASSIGN_OR_RETURN(const lifecycle::UserStatus status, StatusOf(*request));
        call.Note("status", lifecycle::ToString(status));
        ASSIGN_OR_RETURN(const UserRecord updated,
                         parts_.users.SetStatus(user.id, status, user.revision, call.deadline));
        Encode(updated, *response->mutable_user());
        return absl::OkStatus();
      });
}

grpc::Status UserService::ChangePassword(grpc::ServerContext* context,
                                         const v1::ChangePasswordRequest* request,
                                         v1::ChangePasswordResponse*) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.UserService/ChangePassword", *request,
                    [&](const CallContext& call) { return SetPassword(call, *request); });
}

absl::Status UserService::SetPassword(const CallContext& call,
                                      const v1::ChangePasswordRequest& request) {
  ASSIGN_OR_RETURN(const UserRecord user, ResolveUser(parts_.users, call, "user", request.user()));
  const bool own = user.id == call.caller->user_id;
  RETURN_IF_ERROR(call.Authorize(own ? Action::kChangeOwnPassword : Action::kResetPassword,
                                 ObjectOf(user), UserWords(request.user())));
  RETURN_IF_ERROR(lifecycle::CheckPassword("new_password", request.new_password()));
  if (own) RETURN_IF_ERROR(CheckOldPassword(call, user, request.old_password()));
  ASSIGN_OR_RETURN(const std::string hash,
                   parts_.passwords.Hash(server::Secret(request.new_password()), call.deadline));
  return parts_.users.SetPassword(user.id, hash, own ? call.caller->api_key_id : "", user.revision,
                                  call.deadline);
}

absl::Status UserService::CheckOldPassword(const CallContext& call, const UserRecord& user,
                                           const std::string& old_password) {
  RETURN_IF_ERROR(password_tries_.Admit(call.caller->Identity(), "change password"));
  ASSIGN_OR_RETURN(const std::string hash, parts_.users.FindPasswordHash(user.id, call.deadline));
  ASSIGN_OR_RETURN(const bool matches,
                   parts_.passwords.Verify(hash, server::Secret(old_password), call.deadline));
  if (matches) return absl::OkStatus();
  return status::WithReason(InvalidField("old_password", "is wrong"), "BAD_CREDENTIALS");
}

grpc::Status UserService::DeleteUser(grpc::ServerContext* context,
                                     const v1::DeleteUserRequest* request,
                                     v1::DeleteUserResponse*) {
  return HandleCall(parts_.gate, context, "/coder.api.v1.UserService/DeleteUser", *request,
                    [&](const CallContext& call) -> absl::Status {
                      ASSIGN_OR_RETURN(const UserRecord user,
                                       AuthorizedUser(parts_.users, call, Action::kDeleteUser,
                                                      "user", request->user()));
                      return parts_.users.Delete(user.id, user.revision, call.deadline);
                    });
}

}  // namespace coder::api
