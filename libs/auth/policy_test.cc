#include "libs/auth/policy.h"

#include <catch2/catch.hpp>
#include <set>

#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::auth {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using lifecycle::OrganizationId;
using lifecycle::UserId;
using enum Action;

template <typename Id>
Id MakeId(uint8_t tag) {
  ids::Uuid::Bytes bytes{};
  bytes[15] = tag;
  return Id(ids::Uuid(bytes));
}

const auto kOurs = MakeId<OrganizationId>(1);
const auto kTheirs = MakeId<OrganizationId>(2);
const auto kMe = MakeId<UserId>(3);
const auto kOther = MakeId<UserId>(4);

Caller User(SiteRoles site, std::vector<Membership> memberships) {
  Caller caller;
  caller.kind = CallerKind::kUser;
  caller.user_id = kMe;
  caller.site_roles = site;
  caller.memberships = std::move(memberships);
  return caller;
}

struct Role {
  char letter;
  Caller caller;
};

// Letters of the table below.
std::vector<Role> Roles() {
  Caller provisioner;
  provisioner.kind = CallerKind::kProvisioner;
  provisioner.organization_id = kOurs;
  Caller service;
  service.kind = CallerKind::kService;
  return {
      {'O', User({SiteRole::kOwner}, {})},
      {'T', User({SiteRole::kTemplateAdmin}, {})},
      {'U', User({SiteRole::kUserAdmin}, {})},
      {'A', User({SiteRole::kAuditor}, {})},
      {'a', User({}, {{kOurs, {OrganizationRole::kAdmin}}})},
      {'t', User({}, {{kOurs, {OrganizationRole::kTemplateAdmin}}})},
      {'m', User({}, {{kOurs, {}}})},
      {'x', User({}, {})},
      {'-', Caller()},
      {'p', provisioner},
      {'s', service},
  };
}

struct Expectation {
  Action action;
  const char* own;         // own object in our organization
  const char* neighbours;  // another user's in our organization
  const char* foreign;     // another user's in another organization
};

// Written by hand, apart from the table it checks.
const Expectation kExpected[] = {
    {kUsePublic, "OTUAatmx-ps", "OTUAatmx-ps", "OTUAatmx-ps"},
    {kUseOwnAccount, "OTUAatmx", "OTUAatmx", "OTUAatmx"},
    {kReadUser, "OTUAatmx", "OTUA", "OTUA"},
    {kCreateUser, "OU", "OU", "OU"},
    {kUpdateUser, "OTUAatmx", "OU", "OU"},
    {kSetUserRoles, "OU", "OU", "OU"},
    {kSetUserStatus, "OU", "OU", "OU"},
    {kChangeOwnPassword, "OTUAatmx", "", ""},
    {kResetPassword, "OU", "OU", "OU"},
    {kDeleteUser, "OU", "OU", "OU"},
    {kRevokeToken, "OTUAatmx", "OU", "OU"},
    {kReadOrganization, "OTUAatm", "OTUAatm", "OTUA"},
    {kCreateOrganization, "O", "O", "O"},
    {kUpdateOrganization, "Oa", "Oa", "O"},
    {kDeleteOrganization, "O", "O", "O"},
    {kReadMembers, "OTUAatm", "OTUAatm", "OTUA"},
    {kWriteMembers, "OUa", "OUa", "OU"},
    {kReadTemplate, "OTAatm", "OTAatm", "OTA"},
    {kUseTemplate, "OTatm", "OTatm", "OT"},
    {kCreateTemplate, "OTat", "OTat", "OT"},
    {kUpdateTemplate, "OTat", "OTat", "OT"},
    {kDeleteTemplate, "OTat", "OTat", "OT"},
    {kReadWorkspace, "OTAatm", "OTAat", "OTA"},
    {kCreateWorkspace, "Oatm", "Oa", "O"},
    {kUpdateWorkspace, "Oatm", "Oa", "O"},
    {kBuildWorkspace, "Oatm", "Oa", "O"},
    {kDeleteWorkspace, "Oatm", "Oa", "O"},
    {kReadProvisioners, "OTAat", "OTAat", "OTA"},
    {kReadProvisionerKeys, "OAa", "OAa", "OA"},
    {kWriteProvisionerKeys, "Oa", "Oa", "O"},
    {kReadBuildStreamStatus, "OTUAatmx", "OTUAatmx", "OTUAatmx"},
    {kReadAuditLog, "OAa", "OAa", "OA"},
    {kRunJobs, "p", "p", ""},
    {kRunLifecycle, "s", "s", "s"},
};

std::string Allowed(Action action, const ObjectRef& object) {
  std::string letters;
  for (const Role& role : Roles()) {
    if (IsAllowed(role.caller, action, object)) letters += role.letter;
  }
  return letters;
}

TEST_CASE("each role may do what the hand-written table says and nothing else") {
  std::set<Action> seen;
  for (const Expectation& row : kExpected) {
    INFO(std::string(ToString(row.action)));
    seen.insert(row.action);
    CHECK(Allowed(row.action, {kOurs, kMe}) == row.own);
    CHECK(Allowed(row.action, {kOurs, kOther}) == row.neighbours);
    CHECK(Allowed(row.action, {kTheirs, kOther}) == row.foreign);
  }
  CHECK(seen.size() == static_cast<size_t>(kCount));
}

TEST_CASE("an action without a row is refused to everybody") {
  CHECK(Allowed(kCount, {kOurs, kMe}).empty());
  CHECK(Allowed(static_cast<Action>(200), {kOurs, kMe}).empty());
}

TEST_CASE("one's own thing in an organization one has left is not one's own any more") {
  CHECK_FALSE(IsAllowed(User({}, {{kOurs, {}}}), kReadWorkspace, {kTheirs, kMe}));
}

TEST_CASE("nil ids never match nil ids") {
  Caller caller = User({}, {{OrganizationId(), {OrganizationRole::kAdmin}}});
  caller.user_id = UserId();
  CHECK_FALSE(IsAllowed(caller, kReadWorkspace, {}));
  CHECK_FALSE(IsAllowed(caller, kReadUser, {}));
  Caller provisioner;
  provisioner.kind = CallerKind::kProvisioner;
  CHECK_FALSE(IsAllowed(provisioner, kRunJobs, {}));
}

TEST_CASE("a user admin may read an owner's account but not change it") {
  const Caller admin = User({SiteRole::kUserAdmin}, {});
  const ObjectRef account = {.owner_id = kOther, .is_site_owner = true};
  CHECK(IsAllowed(admin, kReadUser, account));
  for (Action action : {kUpdateUser, kSetUserRoles, kSetUserStatus, kResetPassword, kDeleteUser}) {
    INFO(std::string(ToString(action)));
    CHECK_THAT(Authorize(admin, action, account, "user 'x'"),
               StatusIs(absl::StatusCode::kPermissionDenied));
    CHECK_THAT(Authorize(User({SiteRole::kOwner}, {}), action, account, "user 'x'"), IsOk());
  }
}

TEST_CASE("what may not be read is as good as absent, what may be read is forbidden") {
  const Caller member = User({}, {{kOurs, {}}});
  const absl::Status hidden =
      Authorize(member, kUpdateWorkspace, {kTheirs, kOther}, "workspace 'x'");
  CHECK_THAT(hidden, StatusIs(absl::StatusCode::kNotFound));
  CHECK(hidden == NotFound("workspace 'x'"));
  const absl::Status refused = Authorize(member, kUpdateTemplate, {kOurs, kOther}, "template 'x'");
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kPermissionDenied, "update template 'x'"));
  CHECK(status::ReasonOf(refused)->reason == "ACTION_FORBIDDEN");
}

bool InScope(const Scope& scope, const ObjectRef& object) {
  const auto has = [&](const std::vector<OrganizationId>& list) {
    return std::find(list.begin(), list.end(), object.organization_id) != list.end();
  };
  return scope.everything || has(scope.organizations) ||
         (object.owner_id == kMe && has(scope.own_in)) || scope.own == object.owner_id;
}

TEST_CASE("the scope of an action holds exactly the objects that are allowed") {
  for (const Role& role : Roles()) {
    for (int i = 0; i < static_cast<int>(kCount); ++i) {
      const auto action = static_cast<Action>(i);
      INFO(role.letter << " " << std::string(ToString(action)));
      for (const ObjectRef& object : {ObjectRef{kOurs, kMe}, ObjectRef{kOurs, kOther},
                                      ObjectRef{kTheirs, kMe}, ObjectRef{kTheirs, kOther}}) {
        CHECK(InScope(ScopeOf(role.caller, action), object) ==
              IsAllowed(role.caller, action, object));
      }
    }
  }
}

TEST_CASE("roles are read from their words and written back") {
  const auto roles = ParseSiteRoles("roles", {"auditor", "owner", "owner"});
  REQUIRE_THAT(roles, IsOk());
  CHECK(ToWords(*roles) == std::vector<std::string>{"owner", "auditor"});
  const auto bad = ParseSiteRoles("roles", {"Owner"});
  CHECK_THAT(bad, StatusIs(absl::StatusCode::kInvalidArgument, "'user-admin'"));
  CHECK(status::FieldViolationsOf(bad.status()).at(0).field == "roles");
  CHECK_THAT(ParseOrganizationRoles("roles", {"owner"}),
             StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace coder::auth
