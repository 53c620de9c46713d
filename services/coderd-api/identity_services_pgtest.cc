#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "coder/api/v1/auth.grpc.pb.h"
#include "coder/api/v1/deployment.grpc.pb.h"
#include "coder/api/v1/organization.grpc.pb.h"
#include "coder/api/v1/provisioner.grpc.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/testing/api_server.h"

namespace coder::api {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using Code = absl::StatusCode;

// One server and the stubs of its services.
struct Fixture {
  explicit Fixture(const std::function<void(Config&)>& change = [](Config&) {})
      : server({WireIdentity}, change),
        auth(v1::AuthService::NewStub(server.channel())),
        users(v1::UserService::NewStub(server.channel())),
        organizations(v1::OrganizationService::NewStub(server.channel())),
        provisioners(v1::ProvisionerAdminService::NewStub(server.channel())) {}

  // The deployment has an owner with a session.
  void AddOwner() {
    organization = server.AddOrganization("default");
    owner_id = server.AddUser("owner", {auth::SiteRole::kOwner}, {{organization, {}}});
    owner = server.AddSession(owner_id);
  }

  absl::StatusOr<v1::CreateFirstUserResponse> CreateFirst(v1::CreateFirstUserRequest request) {
    return Call<v1::CreateFirstUserResponse>(
        "", request, [&](auto... a) { return auth->CreateFirstUser(a...); });
  }
  absl::StatusOr<v1::LoginResponse> Login(const std::string& email, const std::string& password) {
    v1::LoginRequest request;
    request.set_email(email);
    request.set_password(password);
    return Call<v1::LoginResponse>("", request, [&](auto... a) { return auth->Login(a...); });
  }
  absl::StatusOr<v1::WhoAmIResponse> WhoAmI(const std::string& token) {
    return Call<v1::WhoAmIResponse>(token, v1::WhoAmIRequest(),
                                    [&](auto... a) { return auth->WhoAmI(a...); });
  }
  absl::StatusOr<v1::CreateUserResponse> CreateUser(const v1::CreateUserRequest& request) {
    return Call<v1::CreateUserResponse>(owner, request,
                                        [&](auto... a) { return users->CreateUser(a...); });
  }
  absl::StatusOr<v1::SetUserRolesResponse> SetRoles(const std::string& token,
                                                    const std::string& user,
                                                    std::vector<std::string> roles) {
    v1::SetUserRolesRequest request;
    request.set_user(user);
    for (const std::string& role : roles) request.add_roles(role);
    return Call<v1::SetUserRolesResponse>(token, request,
                                          [&](auto... a) { return users->SetUserRoles(a...); });
  }
  absl::StatusOr<v1::SetUserStatusResponse> SetStatus(const std::string& token,
                                                      const std::string& user,
                                                      v1::UserStatus status) {
    v1::SetUserStatusRequest request;
    request.set_user(user);
    request.set_status(status);
    return Call<v1::SetUserStatusResponse>(token, request,
                                           [&](auto... a) { return users->SetUserStatus(a...); });
  }

  // Why a token is refused, within the time a revocation may take to be felt; "accepted" after it.
  std::string RefusalOf(const std::string& token) {
    const absl::Time give_up = absl::Now() + absl::Seconds(5);
    while (true) {
      const auto answer = WhoAmI(token);
      if (!answer.ok()) return Reason(answer);
      if (absl::Now() > give_up) return "accepted";
    }
  }

  template <typename T>
  static std::string Reason(const absl::StatusOr<T>& answer) {
    const auto reason = status::ReasonOf(answer.status());
    return reason ? reason->reason : "";
  }

  ApiServer server;
  std::unique_ptr<v1::AuthService::Stub> auth;
  std::unique_ptr<v1::UserService::Stub> users;
  std::unique_ptr<v1::OrganizationService::Stub> organizations;
  std::unique_ptr<v1::ProvisionerAdminService::Stub> provisioners;
  lifecycle::OrganizationId organization;
  lifecycle::UserId owner_id;
  std::string owner;
};

v1::CreateFirstUserRequest FirstUser(const std::string& name) {
  v1::CreateFirstUserRequest request;
  request.set_email(name + "@example.com");
  request.set_username(name);
  request.set_password("password-of-" + name);
  return request;
}

v1::CreateUserRequest NewUser(const std::string& name) {
  v1::CreateUserRequest request;
  request.set_email(name + "@example.com");
  request.set_username(name);
  request.set_password("password-of-" + name);
  return request;
}

std::vector<std::string> Fields(const absl::Status& status) {
  std::vector<std::string> fields;
  for (const auto& violation : status::FieldViolationsOf(status)) fields.push_back(violation.field);
  return fields;
}

TEST_CASE("of many first users at once exactly one is created, and it can log in") {
  Fixture f;
  std::atomic<int> created = 0;
  std::atomic<int> refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      // Half of them with the same name, which meets another unique key first.
      const auto answer = f.CreateFirst(FirstUser(i % 2 ? "same" : "user" + std::to_string(i)));
      if (answer.ok()) ++created;
      if (Fixture::Reason(answer) == "FIRST_USER_EXISTS") ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(created == 1);
  CHECK(refused == 7);
  CHECK(f.server.Run("SELECT count(*) FROM users").Get<int64_t>(0, 0) == 1);
  CHECK(f.server.Run("SELECT count(*) FROM organizations").Get<int64_t>(0, 0) == 1);
  const auto name = f.server.Run("SELECT username FROM users").Get<std::string>(0, 0);
  const auto session = f.Login(name + "@EXAMPLE.com", "password-of-" + name);
  REQUIRE_THAT(session, IsOk());
  const auto me = f.WhoAmI(session->session_token());
  REQUIRE_THAT(me, IsOk());
  CHECK(me->user().roles(0) == "owner");
  CHECK(me->memberships(0).organization_name() == "default");
  CHECK(me->memberships(0).roles(0) == "admin");
}

TEST_CASE("every bad field of a new user is named at once") {
  Fixture f;
  v1::CreateFirstUserRequest request;
  request.set_email("nobody");
  request.set_username("-x");
  request.set_name(std::string(129, 'x'));
  request.set_password("short");
  const auto answer = f.CreateFirst(request);
  CHECK_THAT(answer, StatusIs(Code::kInvalidArgument));
  CHECK(Fields(answer.status()) ==
        std::vector<std::string>{"email", "username", "name", "password"});
  CHECK(answer.status().ToString().find("short") == std::string::npos);
}

TEST_CASE("a wrong password and an unknown e-mail are told the same") {
  Fixture f;
  f.AddOwner();
  const auto wrong = f.Login("owner@example.com", "password-of-nobody");
  const auto unknown = f.Login("nobody@example.com", "password-of-owner");
  CHECK(Fixture::Reason(wrong) == "BAD_CREDENTIALS");
  CHECK(wrong.status() == unknown.status());
  CHECK(Fixture::Reason(f.Login("", "")) == "BAD_CREDENTIALS");
  CHECK(Fixture::Reason(f.Login("owner@example.com", std::string(10000, 'x'))) ==
        "BAD_CREDENTIALS");
}

TEST_CASE("too many log-ins of one e-mail are refused with a delay, others go on") {
  Fixture f([](Config& config) { config.login_burst_per_email = 2; });
  f.AddOwner();
  f.server.AddUser("other");
  CHECK(Fixture::Reason(f.Login("owner@example.com", "wrong-password")) == "BAD_CREDENTIALS");
  CHECK(Fixture::Reason(f.Login("OWNER@example.com", "wrong-password")) == "BAD_CREDENTIALS");
  const auto refused = f.Login("owner@example.com", "password-of-owner");
  CHECK_THAT(refused, StatusIs(Code::kResourceExhausted));
  CHECK(status::RetryAfterOf(refused.status()).value_or(absl::ZeroDuration()) >
        absl::ZeroDuration());
  CHECK_THAT(f.Login("other@example.com", "password-of-other"), IsOk());
}

TEST_CASE("too many log-ins from one address are refused whatever the e-mail") {
  Fixture f([](Config& config) { config.login_burst_per_address = 3; });
  for (int i = 0; i < 3; ++i) {
    CHECK(Fixture::Reason(f.Login(std::to_string(i) + "@x.com", "whatever-it-is")) ==
          "BAD_CREDENTIALS");
  }
  CHECK_THAT(f.Login("new@x.com", "whatever-it-is"), StatusIs(Code::kResourceExhausted));
}

TEST_CASE("tokens that are absent, altered, cut, expired or foreign are refused by reason") {
  Fixture f;
  f.AddOwner();
  std::string flipped = f.owner;
  flipped.back() = flipped.back() == 'A' ? 'B' : 'A';
  std::string other_id = f.owner;
  other_id[0] = other_id[0] == 'A' ? 'B' : 'A';
  CHECK_THAT(f.WhoAmI(f.owner), IsOk());
  CHECK(Fixture::Reason(f.WhoAmI("")) == "TOKEN_MISSING");
  CHECK(Fixture::Reason(f.WhoAmI(flipped)) == "TOKEN_INVALID");
  CHECK(Fixture::Reason(f.WhoAmI(other_id)) == "TOKEN_INVALID");
  CHECK(Fixture::Reason(f.WhoAmI(f.owner.substr(0, 20))) == "TOKEN_INVALID");
  CHECK(Fixture::Reason(f.WhoAmI(f.owner + "x")) == "TOKEN_INVALID");
  f.server.Run("UPDATE api_keys SET expires_at = now() - interval '1 second'");
  const std::string fresh = f.server.AddSession(f.owner_id);
  CHECK_THAT(f.WhoAmI(fresh), IsOk());
  CHECK(f.RefusalOf(f.owner) == "TOKEN_EXPIRED");
  const std::string key = f.server.AddProvisionerKey(f.organization, f.owner_id);
  CHECK(Fixture::Reason(f.WhoAmI(key)) == "WRONG_CALLER_KIND");
  CHECK(Fixture::Reason(f.WhoAmI(f.server.service_token())) == "WRONG_CALLER_KIND");
}

TEST_CASE("log-out, suspension, deletion and a changed password end sessions in time") {
  Fixture f;
  f.AddOwner();
  const auto id = f.server.AddUser("ada", {}, {{f.organization, {}}});
  const std::string first = f.server.AddSession(id);
  const std::string second = f.server.AddSession(id);
  REQUIRE_THAT(f.WhoAmI(first), IsOk());
  REQUIRE_THAT(f.WhoAmI(second), IsOk());

  SECTION("log-out is felt by the very next call") {
    REQUIRE_THAT(Call<v1::LogoutResponse>(first, v1::LogoutRequest(),
                                          [&](auto... a) { return f.auth->Logout(a...); }),
                 IsOk());
    CHECK(Fixture::Reason(f.WhoAmI(first)) == "TOKEN_REVOKED");
    CHECK_THAT(f.WhoAmI(second), IsOk());
  }
  SECTION("suspension, and the return") {
    REQUIRE_THAT(f.SetStatus(f.owner, "ada", v1::USER_STATUS_SUSPENDED), IsOk());
    CHECK(f.RefusalOf(first) == "USER_SUSPENDED");
    CHECK(Fixture::Reason(f.Login("ada@example.com", "password-of-ada")) == "USER_SUSPENDED");
    CHECK(Fixture::Reason(f.Login("ada@example.com", "wrong-password")) == "BAD_CREDENTIALS");
    REQUIRE_THAT(f.SetStatus(f.owner, "ada", v1::USER_STATUS_ACTIVE), IsOk());
    CHECK_THAT(f.Login("ada@example.com", "password-of-ada"), IsOk());
  }
  SECTION("deletion frees the name") {
    v1::DeleteUserRequest request;
    request.set_user("ada");
    REQUIRE_THAT(Call<v1::DeleteUserResponse>(f.owner, request,
                                              [&](auto... a) { return f.users->DeleteUser(a...); }),
                 IsOk());
    CHECK(f.RefusalOf(first) == "TOKEN_REVOKED");
    CHECK_THAT(f.CreateUser(NewUser("ada")), IsOk());
  }
  SECTION("one's own password needs the old one and keeps this session only") {
    v1::ChangePasswordRequest request;
    request.set_user("me");
    request.set_old_password("not-the-old-one");
    request.set_new_password("another-password");
    const auto change = [&] {
      return Call<v1::ChangePasswordResponse>(
          first, request, [&](auto... a) { return f.users->ChangePassword(a...); });
    };
    CHECK(Fixture::Reason(change()) == "BAD_CREDENTIALS");
    request.set_old_password("password-of-ada");
    REQUIRE_THAT(change(), IsOk());
    CHECK(f.RefusalOf(second) == "TOKEN_REVOKED");
    CHECK_THAT(f.WhoAmI(first), IsOk());
    CHECK_THAT(f.Login("ada@example.com", "another-password"), IsOk());
  }
}

TEST_CASE("the last active owner stays, also when two owners fall at once") {
  Fixture f;
  f.AddOwner();
  CHECK(Fixture::Reason(f.SetRoles(f.owner, "owner", {})) == "LAST_OWNER");
  CHECK(Fixture::Reason(f.SetStatus(f.owner, "me", v1::USER_STATUS_SUSPENDED)) == "LAST_OWNER");
  const auto other = f.server.AddUser("other", {auth::SiteRole::kOwner});
  const std::string session = f.server.AddSession(other);
  absl::Status first;
  std::thread thread([&] { first = f.SetRoles(f.owner, "other", {}).status(); });
  const absl::Status second = f.SetRoles(session, "owner", {}).status();
  thread.join();
  CHECK(first.ok() != second.ok());
  CHECK(f.server.Run("SELECT count(*) FROM users WHERE 'owner' = ANY (site_roles)")
            .Get<int64_t>(0, 0) == 1);
}

TEST_CASE("only owners give and take owner") {
  Fixture f;
  f.AddOwner();
  f.server.AddUser("ada");
  const std::string admin =
      f.server.AddSession(f.server.AddUser("admin", {auth::SiteRole::kUserAdmin}));
  CHECK_THAT(f.SetRoles(admin, "ada", {"auditor"}), IsOk());
  CHECK_THAT(f.SetRoles(admin, "ada", {"owner"}), StatusIs(Code::kPermissionDenied));
  CHECK_THAT(f.SetRoles(admin, "owner", {"auditor"}), StatusIs(Code::kPermissionDenied));
  CHECK_THAT(f.SetRoles(f.owner, "ada", {"owner"}), IsOk());
  CHECK_THAT(f.SetRoles(f.owner, "ada", {"king"}), StatusIs(Code::kInvalidArgument));
}

TEST_CASE("names and addresses are unique ignoring case, and a request repeated is one user") {
  Fixture f;
  f.AddOwner();
  v1::CreateUserRequest request = NewUser("ada");
  request.set_request_id("01890a5d-ac96-774b-bcce-b302099a8057");
  const auto first = f.CreateUser(request);
  REQUIRE_THAT(first, IsOk());
  const auto again = f.CreateUser(request);
  REQUIRE_THAT(again, IsOk());
  CHECK(again->user().id() == first->user().id());
  request.set_username("bob");
  CHECK(Fixture::Reason(f.CreateUser(request)) == "REQUEST_ID_REUSED");
  const auto same_name = f.CreateUser([] {
    v1::CreateUserRequest r = NewUser("ADA");
    r.set_email("x@example.com");
    return r;
  }());
  CHECK_THAT(same_name, StatusIs(Code::kAlreadyExists));
  CHECK(Fields(same_name.status()) == std::vector<std::string>{"username"});
  CHECK(Fields(f.CreateUser([] {
                  v1::CreateUserRequest r = NewUser("carl");
                  r.set_email("Ada@Example.com");
                  return r;
                }())
                   .status()) == std::vector<std::string>{"email"});
}

TEST_CASE("a stale etag changes nothing, a fresh one does") {
  Fixture f;
  f.AddOwner();
  const auto created = f.CreateUser(NewUser("ada"));
  REQUIRE_THAT(created, IsOk());
  v1::UpdateUserRequest request;
  *request.mutable_user() = created->user();
  request.mutable_user()->set_name("Ada");
  request.mutable_update_mask()->add_paths("name");
  const auto update = [&] {
    return Call<v1::UpdateUserResponse>(f.owner, request,
                                        [&](auto... a) { return f.users->UpdateUser(a...); });
  };
  const auto updated = update();
  REQUIRE_THAT(updated, IsOk());
  CHECK(updated->user().name() == "Ada");
  CHECK(updated->user().etag() != created->user().etag());
  CHECK(Fixture::Reason(update()) == "ETAG_MISMATCH");
  request.mutable_user()->set_etag("no etag at all");
  CHECK(Fixture::Reason(update()) == "ETAG_MISMATCH");
  request.mutable_user()->clear_etag();
  CHECK_THAT(update(), IsOk());
  request.mutable_update_mask()->add_paths("password");
  CHECK_THAT(update(), StatusIs(Code::kInvalidArgument, "password"));
}

TEST_CASE("users are listed in pages that hold each once, and members see themselves only") {
  Fixture f;
  f.AddOwner();
  for (const char* name : {"ada", "Bob", "carl", "dora"}) f.server.AddUser(name);
  v1::ListUsersRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    const auto page = Call<v1::ListUsersResponse>(
        f.owner, request, [&](auto... a) { return f.users->ListUsers(a...); });
    REQUIRE_THAT(page, IsOk());
    for (const auto& user : page->users()) names.push_back(user.username());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  CHECK(names == std::vector<std::string>{"ada", "Bob", "carl", "dora", "owner"});
  request.set_page_token("rubbish");
  CHECK_THAT(Call<v1::ListUsersResponse>(f.owner, request,
                                         [&](auto... a) { return f.users->ListUsers(a...); }),
             StatusIs(Code::kInvalidArgument));
  const std::string member = f.server.AddSession(f.server.AddUser("eve"));
  const auto own = Call<v1::ListUsersResponse>(member, v1::ListUsersRequest(),
                                               [&](auto... a) { return f.users->ListUsers(a...); });
  REQUIRE_THAT(own, IsOk());
  REQUIRE(own->users_size() == 1);
  CHECK(own->users(0).username() == "eve");
}

TEST_CASE("an API token works until revoked, and frees its name then") {
  Fixture f;
  f.AddOwner();
  v1::CreateTokenRequest request;
  request.set_name("ci");
  const auto create = [&] {
    return Call<v1::CreateTokenResponse>(f.owner, request,
                                         [&](auto... a) { return f.auth->CreateToken(a...); });
  };
  const auto created = create();
  REQUIRE_THAT(created, IsOk());
  CHECK_THAT(f.WhoAmI(created->secret()), IsOk());
  request.set_name("CI");
  CHECK_THAT(create(), StatusIs(Code::kAlreadyExists));
  v1::RevokeTokenRequest revoke;
  revoke.set_id(created->token().id());
  REQUIRE_THAT(Call<v1::RevokeTokenResponse>(f.owner, revoke,
                                             [&](auto... a) { return f.auth->RevokeToken(a...); }),
               IsOk());
  CHECK(f.RefusalOf(created->secret()) == "TOKEN_REVOKED");
  CHECK_THAT(create(), IsOk());
  for (const int64_t seconds : {int64_t{0}, int64_t{59}, int64_t{366 * 86400}, int64_t{-5}}) {
    request.mutable_lifetime()->set_seconds(seconds);
    CHECK_THAT(create(), StatusIs(Code::kInvalidArgument, "lifetime"));
  }
}

TEST_CASE("a change of roles is felt in time and raises the access version") {
  Fixture f;
  f.AddOwner();
  const std::string ada = f.server.AddSession(f.server.AddUser("ada"));
  const auto list = [&] {
    return Call<v1::GetUserResponse>(
        ada,
        [] {
          v1::GetUserRequest request;
          request.set_user("owner");
          return request;
        }(),
        [&](auto... a) { return f.users->GetUser(a...); });
  };
  CHECK_THAT(list(), StatusIs(Code::kNotFound));
  REQUIRE_THAT(f.SetRoles(f.owner, "ada", {"auditor"}), IsOk());
  const absl::Time give_up = absl::Now() + absl::Seconds(5);
  while (!list().ok() && absl::Now() < give_up) {
  }
  CHECK_THAT(list(), IsOk());
}

}  // namespace
}  // namespace coder::api
