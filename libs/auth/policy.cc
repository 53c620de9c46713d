#include "libs/auth/policy.h"

#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::auth {
namespace {

// Who a row lets through. A caller holds a set of these towards an object.
enum Grant : uint32_t {
  kAnybody = 1u << 0,  // even without authentication
  kEveryUser = 1u << 1,
  kSelf = 1u << 2,       // the object's owner
  kOwnMember = 1u << 3,  // the object's owner, a member of its organization
  kOrgMember = 1u << 4,
  kOrgAdmin = 1u << 5,
  kOrgTemplateAdmin = 1u << 6,
  kSiteOwner = 1u << 7,
  kSiteTemplateAdmin = 1u << 8,
  kSiteUserAdmin = 1u << 9,
  kSiteAuditor = 1u << 10,
  kProvisioner = 1u << 11,  // of the object's organization
  kService = 1u << 12,
};

constexpr uint32_t kSiteReaders = kSiteOwner | kSiteTemplateAdmin | kSiteUserAdmin | kSiteAuditor;
constexpr uint32_t kUserWriters = kSiteOwner | kSiteUserAdmin;
constexpr uint32_t kTemplateWriters =
    kSiteOwner | kSiteTemplateAdmin | kOrgAdmin | kOrgTemplateAdmin;
constexpr uint32_t kWorkspaceWriters = kSiteOwner | kOrgAdmin | kOwnMember;

struct Row {
  Action action;
  // Followed by the object's words in messages.
  absl::string_view words;
  // Without this right the object is as good as absent.
  Action read;
  uint32_t grants;
};

using enum Action;

constexpr Row kPolicy[] = {
    {kUsePublic, "use the public calls", kUsePublic, kAnybody},
    {kUseOwnAccount, "use an account", kUseOwnAccount, kEveryUser},

    {kReadUser, "read", kReadUser, kSiteReaders | kSelf},
    {kCreateUser, "create user", kUseOwnAccount, kUserWriters},
    {kUpdateUser, "update", kReadUser, kUserWriters | kSelf},
    {kSetUserRoles, "set roles of", kReadUser, kUserWriters},
    {kSetUserStatus, "set status of", kReadUser, kUserWriters},
    {kChangeOwnPassword, "change password of", kReadUser, kSelf},
    {kResetPassword, "reset password of", kReadUser, kUserWriters},
    {kDeleteUser, "delete", kReadUser, kUserWriters},
    {kRevokeToken, "revoke", kRevokeToken, kUserWriters | kSelf},

    {kReadOrganization, "read", kReadOrganization, kSiteReaders | kOrgMember},
    {kCreateOrganization, "create organization", kUseOwnAccount, kSiteOwner},
    {kUpdateOrganization, "update", kReadOrganization, kSiteOwner | kOrgAdmin},
    {kDeleteOrganization, "delete", kReadOrganization, kSiteOwner},
    {kReadMembers, "read members of", kReadOrganization, kSiteReaders | kOrgMember},
    {kWriteMembers, "change members of", kReadOrganization, kUserWriters | kOrgAdmin},

    {kReadTemplate, "read", kReadTemplate,
     kSiteOwner | kSiteTemplateAdmin | kSiteAuditor | kOrgMember},
    {kUseTemplate, "use", kReadTemplate, kTemplateWriters | kOrgMember},
    {kCreateTemplate, "create template in", kReadOrganization, kTemplateWriters},
    {kUpdateTemplate, "update", kReadTemplate, kTemplateWriters},
    {kDeleteTemplate, "delete", kReadTemplate, kTemplateWriters},

    {kReadWorkspace, "read", kReadWorkspace,
     kSiteOwner | kSiteTemplateAdmin | kSiteAuditor | kOrgAdmin | kOrgTemplateAdmin | kOwnMember},
    {kCreateWorkspace, "create workspace in", kReadOrganization, kWorkspaceWriters},
    {kUpdateWorkspace, "update", kReadWorkspace, kWorkspaceWriters},
    {kBuildWorkspace, "build", kReadWorkspace, kWorkspaceWriters},
    {kDeleteWorkspace, "delete", kReadWorkspace, kWorkspaceWriters},

    {kReadProvisioners, "read provisioners of", kReadOrganization,
     kSiteOwner | kSiteTemplateAdmin | kSiteAuditor | kOrgAdmin | kOrgTemplateAdmin},
    {kReadProvisionerKeys, "read provisioner keys of", kReadOrganization,
     kSiteOwner | kSiteAuditor | kOrgAdmin},
    {kWriteProvisionerKeys, "change provisioner keys of", kReadOrganization,
     kSiteOwner | kOrgAdmin},

    {kReadBuildStreamStatus, "read the build stream's status", kReadBuildStreamStatus, kEveryUser},

    {kReadAuditLog, "read the audit log of", kReadOrganization,
     kSiteOwner | kSiteAuditor | kOrgAdmin},

    {kRunJobs, "run jobs of", kRunJobs, kProvisioner},
    {kRunLifecycle, "run lifecycle", kRunLifecycle, kService},
};

constexpr bool EveryActionHasItsRow() {
  if (std::size(kPolicy) != static_cast<size_t>(kCount)) return false;
  for (size_t i = 0; i < std::size(kPolicy); ++i) {
    if (static_cast<size_t>(kPolicy[i].action) != i) return false;
  }
  return true;
}
static_assert(EveryActionHasItsRow(), "kPolicy has one row for each Action, in their order");

const Row* RowOf(Action action) {
  const auto index = static_cast<size_t>(action);
  return index < std::size(kPolicy) ? &kPolicy[index] : nullptr;
}

// What a user holds wherever the object is.
uint32_t SiteGrants(const Caller& caller) {
  switch (caller.kind) {
    case CallerKind::kAnonymous:
    case CallerKind::kProvisioner:
      return kAnybody;
    case CallerKind::kService:
      return kAnybody | kService;
    case CallerKind::kUser:
      break;
  }
  uint32_t grants = kAnybody | kEveryUser;
  if (caller.site_roles.Has(SiteRole::kOwner)) grants |= kSiteOwner;
  if (caller.site_roles.Has(SiteRole::kTemplateAdmin)) grants |= kSiteTemplateAdmin;
  if (caller.site_roles.Has(SiteRole::kUserAdmin)) grants |= kSiteUserAdmin;
  if (caller.site_roles.Has(SiteRole::kAuditor)) grants |= kSiteAuditor;
  return grants;
}

uint32_t MemberGrants(const Membership& membership) {
  uint32_t grants = kOrgMember;
  if (membership.roles.Has(OrganizationRole::kAdmin)) grants |= kOrgAdmin;
  if (membership.roles.Has(OrganizationRole::kTemplateAdmin)) grants |= kOrgTemplateAdmin;
  return grants;
}

uint32_t GrantsTowards(const Caller& caller, const ObjectRef& object) {
  uint32_t grants = SiteGrants(caller);
  const bool has_organization = !object.organization_id.IsNil();
  if (caller.kind == CallerKind::kProvisioner && has_organization &&
      caller.organization_id == object.organization_id) {
    grants |= kProvisioner;
  }
  if (caller.kind != CallerKind::kUser) return grants;
  const bool is_own = !object.owner_id.IsNil() && object.owner_id == caller.user_id;
  if (is_own) grants |= kSelf;
  const Membership* membership =
      has_organization ? caller.MembershipIn(object.organization_id) : nullptr;
  if (membership != nullptr) {
    grants |= MemberGrants(*membership);
    if (is_own) grants |= kOwnMember;
  }
  return grants;
}

}  // namespace

bool IsAllowed(const Caller& caller, Action action, const ObjectRef& object) {
  const Row* row = RowOf(action);
  if (row == nullptr) return false;
  uint32_t grants = GrantsTowards(caller, object);
  // A user admin who could change an owner's account could become that owner.
  if (object.is_site_owner && row->action != row->read) grants &= ~uint32_t{kSiteUserAdmin};
  return (grants & row->grants) != 0;
}

absl::Status NotFound(absl::string_view object_words) {
  return absl::NotFoundError(
      absl::StrCat(object_words, ": does not exist, or you may not see it; check the name or id"));
}

absl::Status Authorize(const Caller& caller, Action action, const ObjectRef& object,
                       absl::string_view object_words) {
  if (IsAllowed(caller, action, object)) return absl::OkStatus();
  const Row* row = RowOf(action);
  const bool visible =
      row != nullptr && row->read != row->action && IsAllowed(caller, row->read, object);
  if (!visible) return NotFound(object_words);
  return Forbidden(action, object_words);
}

absl::Status Forbidden(Action action, absl::string_view object_words) {
  const absl::string_view separator = object_words.empty() ? "" : " ";
  return status::WithReason(absl::PermissionDeniedError(
                                absl::StrCat(ToString(action), separator, object_words,
                                             ": your roles do not allow it; ask an administrator")),
                            "ACTION_FORBIDDEN", {{"action", std::string(ToString(action))}});
}

Scope ScopeOf(const Caller& caller, Action action) {
  Scope scope;
  const Row* row = RowOf(action);
  if (row == nullptr) return scope;
  scope.everything = (SiteGrants(caller) & row->grants) != 0;
  if (scope.everything) return scope;
  if (caller.kind == CallerKind::kProvisioner && (row->grants & kProvisioner) != 0) {
    scope.organizations.push_back(caller.organization_id);
  }
  if (caller.kind != CallerKind::kUser) return scope;
  if ((row->grants & kSelf) != 0) scope.own = caller.user_id;
  for (const Membership& membership : caller.memberships) {
    if ((MemberGrants(membership) & row->grants) != 0) {
      scope.organizations.push_back(membership.organization_id);
    } else if ((row->grants & kOwnMember) != 0) {
      scope.own_in.push_back(membership.organization_id);
    }
  }
  return scope;
}

absl::string_view ToString(Action action) {
  const Row* row = RowOf(action);
  return row == nullptr ? absl::string_view("unknown action") : row->words;
}

}  // namespace coder::auth
