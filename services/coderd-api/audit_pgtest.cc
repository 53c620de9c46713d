#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coder/api/v1/audit.grpc.pb.h"
#include "coder/api/v1/auth.grpc.pb.h"
#include "coder/api/v1/build.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "libs/auth/token.h"
#include "libs/clock/system_clock.h"
#include "libs/metrics/metrics.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_audit_log_store.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/audit_retention_pass.h"
#include "services/coderd-api/audit_trail.h"
#include "services/coderd-api/testing/api_server.h"
#include "services/coderd-api/testing/raw_call.h"

namespace coder::api {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using grpc::StatusCode;

// What every record of these tests has in common is checked once; the rest is compared in words.
std::string Told(const v1::AuditLog& log) {
  const auto action = v1::AuditAction_Name(log.action()).substr(sizeof("AUDIT_ACTION_") - 1);
  const auto outcome = v1::AuditOutcome_Name(log.outcome()).substr(sizeof("AUDIT_OUTCOME_") - 1);
  return absl::StrCat(log.actor_name(), " ", action, " ", log.resource_type(), " '",
                      log.resource_name(), "': ", outcome, " ", log.status_code(), " ",
                      log.reason());
}

struct Fixture {
  Fixture() {
    world.identities.SetSiteRoles(world.owner, {auth::SiteRole::kOwner});
    owner = server.AddSession(world.owner);
    world.AddDaemon();
  }

  StatusCode Call(const std::string& method, const std::string& request, const std::string& token) {
    const RawAnswer answer = RawCall(server.channel(), "/coder.api.v1." + method, request, token);
    INFO(answer.status.error_message());
    last = answer.message;
    return answer.status.error_code();
  }

  absl::StatusOr<v1::ListAuditLogsResponse> List(const v1::ListAuditLogsRequest& request,
                                                 const std::string& token) {
    return api::Call<v1::ListAuditLogsResponse>(
        token, request, [&](auto... a) { return audit->ListAuditLogs(a...); });
  }

  // All records, the newest first, as the owner sees them.
  std::vector<v1::AuditLog> All() {
    v1::ListAuditLogsRequest request;
    request.set_page_size(500);
    const auto response = List(request, owner);
    REQUIRE_THAT(response, IsOk());
    return {response->audit_logs().begin(), response->audit_logs().end()};
  }
  v1::AuditLog Newest() {
    const auto all = All();
    return all.empty() ? v1::AuditLog() : all.front();
  }

  ApiServer server{
      {WireAudit, WireIdentity, [](Wiring& w) { WireWorkspaces(w, WireJobs(w)); }, WireTemplates}};
  storage::SampleWorld world{server.database().pool()};
  std::unique_ptr<v1::AuditService::Stub> audit = v1::AuditService::NewStub(server.channel());
  std::string owner;
  std::string last;
};

TEST_CASE("a write that was allowed leaves one record that tells all about it") {
  Fixture f;
  grpc::ClientContext context;
  Authorize(context, f.owner);
  context.AddMetadata("x-request-id", "request-7");
  v1::CreateUserRequest request;
  request.set_email("grace@example.com");
  request.set_username("grace");
  request.set_password("a password of some length");
  v1::CreateUserResponse response;
  REQUIRE(
      v1::UserService::NewStub(f.server.channel())->CreateUser(&context, request, &response).ok());
  const auto all = f.All();
  REQUIRE(all.size() == 1);
  const v1::AuditLog& log = all[0];
  CHECK(log.id().size() == 36);
  CHECK(log.id()[14] == '7');
  CHECK(log.time().seconds() > 0);
  CHECK(log.organization_id().empty());
  CHECK(log.actor_user_id() == f.world.owner.ToString());
  CHECK(log.actor() == "user:" + f.world.owner.ToString());
  CHECK_FALSE(log.actor_name().empty());
  CHECK(log.token_id() == f.owner.substr(0, 10));
  CHECK(log.address() == "ipv4:127.0.0.1");
  CHECK_THAT(log.user_agent(), Catch::Contains("grpc-c++"));
  CHECK(log.request_id() == "request-7");
  CHECK(log.method() == "/coder.api.v1.UserService/CreateUser");
  CHECK(log.action() == v1::AUDIT_ACTION_CREATE);
  CHECK(log.resource_type() == "user");
  CHECK(log.resource_id() == response.user().id());
  CHECK(log.resource_name() == "grace");
  CHECK(log.outcome() == v1::AUDIT_OUTCOME_ALLOWED);
  CHECK(log.status_code() == "OK");
  CHECK(log.reason().empty());
}

TEST_CASE("a write that was denied is recorded, even where its caller is told of nothing") {
  Fixture f;
  const auto grace = f.server.AddUser("grace");
  const std::string token = f.server.AddSession(grace);
  CHECK(f.Call("UserService/CreateUser", "username: 'x'", token) == StatusCode::PERMISSION_DENIED);
  CHECK(Told(f.Newest()) == "grace CREATE user 'x': DENIED PERMISSION_DENIED ACTION_FORBIDDEN");
  const std::string workspace = f.world.AddWorkspace("dev").ToString();
  const std::string stop =
      absl::StrCat("workspace_id: '", workspace, "' transition: BUILD_TRANSITION_STOP");
  f.world.AddBuild(lifecycle::WorkspaceId::Parse(workspace).value());
  CHECK(f.Call("BuildService/CreateWorkspaceBuild", stop, token) == StatusCode::NOT_FOUND);
  CHECK(Told(f.Newest()) == "grace STOP workspace 'dev': DENIED NOT_FOUND ");
  CHECK(f.Newest().resource_id() == workspace);
  CHECK(f.Newest().organization_id() == f.world.organization.ToString());
  CHECK(f.Call("UserService/DeleteUser", "user: 'grace'", "") == StatusCode::UNAUTHENTICATED);
  CHECK(Told(f.Newest()) == " DELETE user '': DENIED UNAUTHENTICATED TOKEN_MISSING");
  CHECK(f.Newest().actor() == "anonymous");
  CHECK(f.Newest().resource_id() == "grace");
  CHECK(f.Call("UserService/DeleteUser", "user: 'grace'", f.server.service_token()) ==
        StatusCode::PERMISSION_DENIED);
  CHECK(f.Newest().actor() == "service");
  CHECK(f.Newest().reason() == "WRONG_CALLER_KIND");
}

TEST_CASE("a write that failed is recorded with its status") {
  Fixture f;
  CHECK(f.Call("UserService/DeleteUser", "user: 'nobody'", f.owner) == StatusCode::NOT_FOUND);
  CHECK_THAT(Told(f.Newest()), Catch::EndsWith("DELETE user '': FAILED NOT_FOUND "));
  CHECK(f.Newest().resource_id() == "nobody");
  const auto workspace = f.world.AddWorkspace("dev");
  f.world.AddBuild(workspace);
  const std::string start =
      absl::StrCat("workspace_id: '", workspace.ToString(), "' transition: BUILD_TRANSITION_START");
  CHECK(f.Call("BuildService/CreateWorkspaceBuild", start, f.owner) ==
        StatusCode::FAILED_PRECONDITION);
  CHECK_THAT(Told(f.Newest()),
             Catch::EndsWith("START workspace 'dev': FAILED FAILED_PRECONDITION BUILD_ACTIVE"));
  // Larger than a request may be: refused before anybody is known.
  CHECK(f.Call("UserService/CreateUser", "name: '" + std::string(300'000, 'x') + "'", f.owner) ==
        StatusCode::RESOURCE_EXHAUSTED);
  CHECK(Told(f.Newest()) == " CREATE user '': FAILED RESOURCE_EXHAUSTED ");
}

TEST_CASE("starts and stops are told as such, with their build") {
  Fixture f;
  const auto workspace = f.world.AddWorkspace("dev");
  f.world.MoveJob(f.world.AddBuild(workspace), "succeeded");
  CHECK(f.Call("BuildService/CreateWorkspaceBuild",
               absl::StrCat("workspace_id: '", workspace.ToString(),
                            "' transition: BUILD_TRANSITION_STOP"),
               f.owner) == StatusCode::OK);
  const v1::AuditLog log = f.Newest();
  CHECK_THAT(Told(log), Catch::EndsWith("STOP workspace 'dev': ALLOWED OK "));
  CHECK(log.details().at("build_number") == "2");
}

TEST_CASE("log-ins and log-outs are recorded with who they were by") {
  Fixture f;
  const auto grace = f.server.AddUser("grace");
  const std::string email =
      f.server.Run("SELECT email FROM users WHERE id = $1", {grace.ToString()})
          .Get<std::string>(0, 0);
  const auto login = [&](const std::string& name, const std::string& password) {
    return f.Call("AuthService/Login",
                  absl::StrCat("email: '", name, "' password: '", password, "'"), "");
  };
  CHECK(login(email, "a wrong password") == StatusCode::UNAUTHENTICATED);
  CHECK(Told(f.Newest()) ==
        absl::StrCat(" LOGIN user '", email, "': DENIED UNAUTHENTICATED BAD_CREDENTIALS"));
  CHECK(f.Newest().actor() == "anonymous");
  CHECK(login(email, "password-of-grace") == StatusCode::OK);
  CHECK(Told(f.Newest()) == "grace LOGIN user 'grace': ALLOWED OK ");
  CHECK(f.Newest().actor_user_id() == grace.ToString());
  v1::LoginResponse session;
  REQUIRE(session.ParseFromString(f.last));
  CHECK(f.Newest().token_id() == session.session_token().substr(0, 10));
  CHECK(f.Call("AuthService/Logout", "", session.session_token()) == StatusCode::OK);
  CHECK(Told(f.Newest()) == "grace LOGOUT token '': ALLOWED OK ");
  CHECK(f.Newest().resource_id() == session.session_token().substr(0, 10));
}

TEST_CASE("what only reads, or only keeps something going, leaves no record") {
  Fixture f;
  const std::string workspace = f.world.AddWorkspace("dev").ToString();
  CHECK(f.Call("AuthService/WhoAmI", "", f.owner) == StatusCode::OK);
  CHECK(f.Call("UserService/ListUsers", "", f.owner) == StatusCode::OK);
  CHECK(f.Call("UserService/GetUser", "user: 'nobody'", f.owner) == StatusCode::NOT_FOUND);
  CHECK(f.Call("UserService/GetUser", "user: 'me'", "") == StatusCode::UNAUTHENTICATED);
  f.Call("ScheduleService/RecordActivity", absl::StrCat("workspace_id: '", workspace, "'"),
         f.owner);
  CHECK(f.All().empty());
}

TEST_CASE("a write is admitted only where it is recorded") {
  Fixture f;
  const grpc::ServerContext context;
  CHECK_THAT(f.server.wiring()->gate.Admit(context, "/coder.api.v1.UserService/DeleteUser"),
             StatusIs(absl::StatusCode::kInternal, "by Handle"));
}

TEST_CASE("pages of one list follow each other; their tokens are good for it alone") {
  Fixture f;
  for (int i = 0; i < 5; ++i) {
    f.Call("UserService/DeleteUser", absl::StrCat("user: 'u", i, "'"), f.owner);
  }
  v1::ListAuditLogsRequest request;
  request.set_page_size(2);
  std::string seen;
  do {
    const auto page = f.List(request, f.owner);
    REQUIRE_THAT(page, IsOk());
    CHECK(page->audit_logs_size() <= 2);
    for (const auto& log : page->audit_logs()) absl::StrAppend(&seen, log.resource_id(), " ");
    request.set_page_token(page->next_page_token());
    if (!page->next_page_token().empty()) {
      v1::ListAuditLogsRequest other = request;
      other.set_actor("grace");
      CHECK_THAT(f.List(other, f.owner), StatusIs(absl::StatusCode::kInvalidArgument));
    }
  } while (!request.page_token().empty());
  CHECK(seen == "u4 u3 u2 u1 u0 ");
}

TEST_CASE("site owners and auditors see all, organization admins their own, others nothing") {
  Fixture f;
  const auto theirs = f.server.AddOrganization("theirs");
  const auto session = [&](const std::string& name, auth::SiteRoles roles,
                           const std::vector<auth::Membership>& memberships) {
    return f.server.AddSession(f.server.AddUser(name, roles, memberships));
  };
  using auth::OrganizationRole;
  const std::string auditor = session("auditor", {auth::SiteRole::kAuditor}, {});
  const std::string admin =
      session("admin", {}, {{f.world.organization, {OrganizationRole::kAdmin}}, {theirs, {}}});
  const std::string member =
      session("member", {}, {{f.world.organization, {OrganizationRole::kTemplateAdmin}}});
  const auto rename = [&](const lifecycle::OrganizationId& id) {
    f.Call("OrganizationService/UpdateOrganization",
           absl::StrCat("organization { id: '", id.ToString(), "' }"), f.owner);
  };
  rename(f.world.organization);
  rename(theirs);
  f.Call("UserService/DeleteUser", "user: 'nobody'", f.owner);
  const auto count = [&](const std::string& token, const std::string& organization) -> int {
    v1::ListAuditLogsRequest request;
    request.set_organization(organization);
    const auto list = f.List(request, token);
    return list.ok() ? list->audit_logs_size() : -static_cast<int>(list.status().code());
  };
  const int denied = -static_cast<int>(absl::StatusCode::kPermissionDenied);
  const int hidden = -static_cast<int>(absl::StatusCode::kNotFound);
  CHECK(count(f.owner, "") == 3);
  CHECK(count(auditor, "") == 3);
  CHECK(count(auditor, "theirs") == 1);
  CHECK(count(admin, "") == 1);
  CHECK(count(admin, "default") == 1);
  CHECK(count(admin, "theirs") == denied);
  CHECK(count(member, "") == denied);
  CHECK(count(member, "default") == denied);
  CHECK(count(member, "theirs") == hidden);
}

TEST_CASE("no secret is in any record") {
  Fixture f;
  const std::string canary = "canary-4f9b-secret";
  const auto grace = f.server.AddUser("grace");
  const std::string token = f.server.AddSession(grace);
  const std::string email =
      f.server.Run("SELECT email FROM users WHERE id = $1", {grace.ToString()})
          .Get<std::string>(0, 0);
  const auto call = [&](const std::string& method, const std::string& request,
                        const std::string& by) { f.Call(method, request, by); };
  call("UserService/CreateUser",
       absl::StrCat("username: 'linus' email: 'l@example.com' password: '", canary, "'"), f.owner);
  call("AuthService/CreateFirstUser",
       absl::StrCat("username: 'linus' email: 'l@example.com' password: '", canary, "'"), "");
  call("AuthService/Login", absl::StrCat("email: '", email, "' password: '", canary, "'"), "");
  call("AuthService/Login", absl::StrCat("email: '", canary, "' password: 'x'"), "");
  call("UserService/ChangePassword",
       absl::StrCat("user: 'me' old_password: 'password-of-grace' new_password: '", canary, "'"),
       token);
  call("UserService/DeleteUser", "user: 'nobody'", canary);
  // The whole text where only its public part belongs.
  call("AuthService/RevokeToken", absl::StrCat("id: '", token, "'"), token);
  call("AuthService/CreateToken", absl::StrCat("name: '", token, "'"), token);
  v1::CreateTokenResponse made;
  REQUIRE(made.ParseFromString(f.last));
  call("ProvisionerAdminService/CreateProvisionerKey",
       absl::StrCat("organization_id: '", f.world.organization.ToString(), "' name: 'key'"),
       f.owner);
  const std::string key = f.last.substr(f.last.find("cpk_"), 47);
  REQUIRE(key.size() == 47);
  call("WorkspaceService/CreateWorkspace",
       absl::StrCat("name: 'dev' template_id: '", f.world.template_id.ToString(),
                    "' parameters { name: 'size' value: '", canary, "' }"),
       f.owner);
  call("TemplateService/CreateTemplateVersion",
       absl::StrCat("organization_id: '", f.world.organization.ToString(), "' file_id: '",
                    f.world.file.ToString(),
                    "' provisioner: 'echo' variables { name: 'region' value: '", canary, "' }"),
       f.owner);
  const auto rows = f.server.Run("SELECT audit_logs::text AS record FROM audit_logs");
  CHECK(rows.rows() == 11);
  for (const auto row : rows) {
    const auto record = row.Get<std::string>("record");
    INFO(record);
    for (const std::string& secret :
         {canary, token.substr(11), f.owner.substr(11), made.secret().substr(11), key}) {
      REQUIRE(secret.size() > 10);
      CHECK(record.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("records are kept for as long as the option says") {
  Fixture f;
  storage::PgAuditLogStore store(f.server.wiring()->pool);
  f.Call("UserService/DeleteUser", "user: 'old'", f.owner);
  f.Call("UserService/DeleteUser", "user: 'young'", f.owner);
  f.server.Run(
      "UPDATE audit_logs SET recorded_at = now() - interval '49 hours' "
      "WHERE resource_id = 'old'");
  CHECK_THAT(RunAuditRetentionPass(store, absl::Hours(50)), IsOk());
  CHECK(f.All().size() == 2);
  CHECK(RunAuditRetentionPass(store, absl::Hours(48)).value() == server::PassOutcome::kIdle);
  REQUIRE(f.All().size() == 1);
  CHECK(f.Newest().resource_id() == "young");
}

TEST_CASE("a write whose record cannot be stored is done, and the loss is counted") {
  Fixture f;
  f.server.Run("ALTER TABLE audit_logs RENAME TO elsewhere");
  CHECK(f.Call("UserService/CreateUser",
               "username: 'grace' email: 'g@example.com' password: 'some long password'",
               f.owner) == StatusCode::OK);
  double lost = 0;
  for (const auto& family : f.server.wiring()->metrics.registry().Collect()) {
    if (family.name != "coderd_audit_records_total") continue;
    for (const auto& metric : family.metric) {
      if (metric.label.at(0).value == "lost") lost = metric.counter.value;
    }
  }
  CHECK(lost == 1);
}

TEST_CASE("whoever is nobody cannot fill the log, nor hide others' attempts") {
  Fixture f;
  storage::PgAuditLogStore store(f.server.wiring()->pool);
  metrics::Metrics metrics("test", "test", "test");
  clock::SystemClock clock;
  AuditTrail trail(store, f.server.wiring()->ids, clock, metrics.registry());
  storage::AuditRecord refused;
  refused.method = "/coder.api.v1.UserService/CreateUser";
  refused.resource_type = "user";
  refused.address = "ipv4:10.0.0.1";
  refused.outcome = storage::AuditOutcome::kDenied;
  refused.status_code = "UNAUTHENTICATED";
  for (int i = 0; i < AuditTrail::kAnonymousBurst * 3; ++i) trail.Keep(refused);
  const auto kept = [&] {
    return f.server.Run("SELECT count(*) FROM audit_logs").Get<int64_t>(0, 0);
  };
  const int64_t after_flood = kept();
  CHECK(after_flood >= AuditTrail::kAnonymousBurst);
  CHECK(after_flood < AuditTrail::kAnonymousBurst * 2);
  for (auto change :
       {+[](storage::AuditRecord& r) { r.address = "ipv4:10.0.0.2"; },
        +[](storage::AuditRecord& r) { r.method = "/coder.api.v1.AuthService/Login"; },
        +[](storage::AuditRecord& r) { r.actor = "user:grace"; }}) {
    storage::AuditRecord other = refused;
    change(other);
    const int64_t before = kept();
    trail.Keep(other);
    CHECK(kept() == before + 1);
  }
}

TEST_CASE("texts are made fit to be kept") {
  CHECK(FitForAudit("dev", 5) == "dev");
  CHECK(FitForAudit("too long", 3) == "too");
  CHECK(FitForAudit("a\x1b[2J\n", 9) == "a?[2J?");
  CHECK(FitForAudit("a\u00e9", 2) == "a");
  CHECK(FitForAudit(std::string("a\0b", 3), 9) == "a?b");
  CHECK(FitForAudit(auth::GenerateProvisionerKey().text, 99) == "(a token)");
  CHECK(FitForAudit(auth::GenerateServiceToken() + "\n", 99) == "(a token)");
  const auth::NewApiKey key = auth::GenerateApiKey();
  CHECK(FitForAudit(" " + key.text, 99) == key.id);
}

}  // namespace
}  // namespace coder::api
