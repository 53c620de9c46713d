#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/auth/token.h"
#include "services/coderd-api/method_policy.h"
#include "services/coderd-api/rbac_rows.h"
#include "services/coderd-api/testing/api_server.h"
#include "services/coderd-api/testing/raw_call.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

using lifecycle::OrganizationId;
using lifecycle::UserId;

// The ids a request may name, by placeholder.
using Objects = std::map<std::string, std::string>;

struct Role {
  char letter;
  UserId user;  // nil unless a user
  std::string token;
};

// Two organizations with a template each, and a workspace with a queued build for everybody.
class World {
 public:
  World() {
    ours_ = server_.AddOrganization("ours");
    theirs_ = server_.AddOrganization("theirs");
    creator_ = server_.AddUser("creator");
    AddTemplate(ours_);
    AddTemplate(theirs_);
    using enum auth::SiteRole;
    AddRole('O', "site-owner", {kOwner}, {});
    AddRole('T', "site-template-admin", {kTemplateAdmin}, {});
    AddRole('U', "site-user-admin", {kUserAdmin}, {});
    AddRole('A', "site-auditor", {kAuditor}, {});
    AddRole('a', "our-admin", {}, {{ours_, {auth::OrganizationRole::kAdmin}}});
    AddRole('t', "our-template-admin", {}, {{ours_, {auth::OrganizationRole::kTemplateAdmin}}});
    AddRole('m', "our-member", {}, {{ours_, {}}});
    AddRole('x', "nobody-special", {}, {});
    roles_.push_back({'-', {}, ""});
    roles_.push_back({'p', {}, server_.AddProvisionerKey(ours_, creator_)});
    roles_.push_back({'s', {}, server_.service_token()});
    neighbour_ = server_.AddUser("neighbour", {}, {{ours_, {}}});
    AddWorkspace(neighbour_, ours_);
    stranger_ = server_.AddUser("stranger", {}, {{theirs_, {}}});
    AddWorkspace(stranger_, theirs_);
  }

  const std::vector<Role>& roles() const { return roles_; }
  ApiServer& server() { return server_; }

  // Things that a call may end are made anew for each.
  Objects Own(const Role& role) { return ObjectsOf(role.user, ours_); }
  Objects Neighbours() { return ObjectsOf(neighbour_, ours_); }
  Objects Foreign() { return ObjectsOf(stranger_, theirs_); }
  Objects Absent() {
    Objects objects;
    for (const char* name : {"user", "org", "workspace", "build", "job", "template", "version",
                             "file", "key", "blackout"}) {
      objects[name] = NewId();
    }
    objects["token"] = "0000000000";
    return objects;
  }

 private:
  std::string NewId() { return server_.wiring()->ids.Next().ToString(); }

  void AddRole(char letter, const std::string& name, auth::SiteRoles site,
               const std::vector<auth::Membership>& memberships) {
    const UserId user = server_.AddUser(name, site, memberships);
    AddWorkspace(user, ours_);
    roles_.push_back({letter, user, server_.AddSession(user)});
  }

  std::string AddJob(const OrganizationId& organization, const std::string& type, bool completed) {
    const std::string id = NewId();
    server_.Run(
        "INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, "
        "file_id, tags, queue_at, completed_at) "
        "VALUES ($1, $2, $3, $4, 'echo', $5, '{}', now(), CASE WHEN $6 THEN now() END)",
        {id, organization.ToString(), creator_.ToString(), type, files_[organization], completed});
    return id;
  }

  void AddTemplate(const OrganizationId& organization) {
    const std::string file = NewId();
    server_.Run(
        "INSERT INTO files (id, sha256, created_by, media_type, data) "
        "VALUES ($1, sha256($2), $3, 'application/x-tar', 'x')",
        {file, pg::Bytea{file}, creator_.ToString()});
    files_[organization] = file;
    const std::string job = AddJob(organization, "template_version_import", true);
    const std::string version = NewId();
    const std::string id = NewId();
    server_.Run(
        "INSERT INTO template_versions (id, organization_id, name, job_id, created_by) "
        "VALUES ($1, $2, 'v1', $3, $4)",
        {version, organization.ToString(), job, creator_.ToString()});
    server_.Run(
        "INSERT INTO templates (id, organization_id, name, provisioner, active_version_id, "
        "created_by) VALUES ($1, $2, 'go', 'echo', $3, $4)",
        {id, organization.ToString(), version, creator_.ToString()});
    server_.Run("UPDATE template_versions SET template_id = $1 WHERE id = $2", {id, version});
    templates_[organization] = {{"template", id}, {"version", version}};
  }

  void AddWorkspace(const UserId& owner, const OrganizationId& organization) {
    const std::string workspace = NewId();
    const std::string build = NewId();
    const std::string job = AddJob(organization, "workspace_build", false);
    server_.Run(
        "INSERT INTO workspaces (id, owner_id, organization_id, template_id, name) "
        "VALUES ($1, $2, $3, $4, 'dev')",
        {workspace, owner.ToString(), organization.ToString(),
         templates_[organization]["template"]});
    server_.Run(
        "INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, "
        "transition, reason, initiator_id, job_id) "
        "VALUES ($1, $2, 1, $3, 'start', 'initiator', $4, $5)",
        {build, workspace, templates_[organization]["version"], owner.ToString(), job});
    server_.Run("UPDATE workspaces SET latest_build_id = $1 WHERE id = $2", {build, workspace});
    workspaces_[owner] = {{"workspace", workspace}, {"build", build}, {"job", job}};
  }

  Objects ObjectsOf(const UserId& user, const OrganizationId& organization) {
    Objects objects = workspaces_[user.IsNil() ? neighbour_ : user];
    objects.insert(templates_[organization].begin(), templates_[organization].end());
    objects["user"] = (user.IsNil() ? neighbour_ : user).ToString();
    objects["org"] = organization.ToString();
    const std::string session = server_.AddSession(user.IsNil() ? neighbour_ : user);
    objects["token"] = session.substr(0, 10);
    objects["file"] = files_[organization];
    objects["blackout"] = NewId();
    server_.Run(
        "INSERT INTO autostart_blackouts (id, organization_id, first_day, last_day, created_by) "
        "VALUES ($1, $2, '2026-12-24', '2026-12-24', $3)",
        {objects["blackout"], organization.ToString(), creator_.ToString()});
    objects["key"] =
        server_.identities()
            .AddProvisionerKey(auth::GenerateProvisionerKey().secret_hash, organization, creator_)
            .ToString();
    return objects;
  }

  ApiServer server_{{WireIdentity, [](Wiring& w) { WireWorkspaces(w, WireJobs(w)); }, WireLifecycle,
                     WireTemplates, WireWatch, WireAudit}};
  OrganizationId ours_;
  OrganizationId theirs_;
  UserId creator_;
  UserId neighbour_;
  UserId stranger_;
  std::vector<Role> roles_;
  std::map<OrganizationId, std::string> files_;
  std::map<OrganizationId, Objects> templates_;
  std::map<UserId, Objects> workspaces_;
};

std::string Fill(const std::string& text, const Objects& objects) {
  std::vector<std::pair<std::string, std::string>> replacements;
  for (const auto& [name, id] : objects) replacements.emplace_back("$" + name, id);
  return absl::StrReplaceAll(text, replacements);
}

// What is said of an object after its name, which of several in a request may differ.
std::string Unfill(const std::string& text, const Objects& objects) {
  std::vector<std::pair<std::string, std::string>> replacements;
  for (const auto& [name, id] : objects) replacements.emplace_back(id, "$" + name);
  const std::string unfilled = absl::StrReplaceAll(text, replacements);
  return unfilled.substr(std::min(unfilled.find(": "), unfilled.size()));
}

bool Has(const char* letters, char letter) {
  return std::string(letters).find(letter) != std::string::npos;
}

// What a cell shows: only that the call passed, or how it was refused.
std::string Outcome(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::ALREADY_EXISTS:
      return "allowed";
    case grpc::StatusCode::NOT_FOUND:
      return "hidden";
    case grpc::StatusCode::PERMISSION_DENIED:
      return "forbidden";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "unauthenticated";
    default:
      return absl::StrCat("code ", status.error_code(), ": ", status.error_message());
  }
}

std::string Expected(const RbacRow& row, const Role& role, const char* allowed, const char* seen) {
  if (Has(allowed, role.letter)) return "allowed";
  if (role.letter == '-') return "unauthenticated";
  if (role.letter == 'p' || role.letter == 's' || row.kind == RbacKind::kGate) return "forbidden";
  return Has(seen, role.letter) ? "forbidden" : "hidden";
}

class Matrix {
 public:
  void Check(const RbacRow& row) {
    for (const Role& role : world_.roles()) {
      if (row.kind == RbacKind::kGate) {
        CheckCell(row, role, "nothing", Objects(), row.own, "");
        continue;
      }
      CheckCell(row, role, "own", world_.Own(role), row.own, row.seen_own);
      CheckCell(row, role, "a neighbour's", world_.Neighbours(), row.neighbours,
                row.seen_neighbours);
      CheckCell(row, role, "foreign", world_.Foreign(), row.foreign, row.seen_foreign);
      if (row.kind == RbacKind::kObject) {
        CheckCell(row, role, "absent", world_.Absent(), row.absent, row.seen_absent);
      }
    }
  }

 private:
  void CheckCell(const RbacRow& row, const Role& role, const std::string& relation,
                 const Objects& objects, const char* allowed, const char* seen) {
    const RawAnswer answer =
        RawCall(world_.server().channel(), row.method, Fill(row.request, objects), role.token);
    INFO(row.method << " by " << role.letter << " on " << relation << ": "
                    << answer.status.error_message());
    if (row.kind != RbacKind::kList || role.user.IsNil()) {
      CHECK(Outcome(answer.status) == Expected(row, role, allowed, seen));
      if (answer.status.error_code() == grpc::StatusCode::NOT_FOUND) {
        CHECK(Unfill(answer.status.error_message(), objects) == WordsOfAbsence(row, role));
      }
      return;
    }
    REQUIRE(answer.status.ok());
    const bool listed = answer.message.find(objects.at(row.needle)) != std::string::npos;
    CHECK(listed == Has(allowed, role.letter));
  }

  // A hidden object must not be told from an absent one by what is said of it.
  std::string WordsOfAbsence(const RbacRow& row, const Role& role) {
    const Objects absent = world_.Absent();
    const RawAnswer answer =
        RawCall(world_.server().channel(), row.method, Fill(row.request, absent), role.token);
    return Unfill(answer.status.error_message(), absent);
  }

  World world_;
};

// Calls about the session itself, which identity_services_pgtest makes.
const std::set<std::string> kElsewhere = {"/coder.api.v1.AuthService/Login",
                                          "/coder.api.v1.AuthService/Logout"};

TEST_CASE("every RPC has its row in the matrix") {
  std::set<std::string> rows = kElsewhere;
  for (const RbacRow& row : kRbacRows) CHECK(rows.insert(row.method).second);
  std::set<std::string> methods;
  for (const MethodRule* rule : AllMethodRules()) methods.insert(std::string(rule->method));
  CHECK(rows == methods);
}

TEST_CASE("every RPC answers every role on every kind of object as the matrix says") {
  Matrix matrix;
  for (const RbacRow& row : kRbacRows) matrix.Check(row);
}

}  // namespace
}  // namespace coder::api
