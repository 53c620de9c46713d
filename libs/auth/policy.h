#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/auth/caller.h"
#include "libs/lifecycle/ids.h"

namespace coder::auth {

/// Everything anybody may want to do. Each has one row in the policy table (policy.cc).
enum class Action : uint8_t {
  /// Without authentication: health, the first user, log-in, what the deployment is.
  kUsePublic,
  /// A user's own account: who am I, own tokens, log-out, listing what one may see.
  kUseOwnAccount,

  kReadUser,
  kCreateUser,
  kUpdateUser,
  kSetUserRoles,
  kSetUserStatus,
  /// With the old password.
  kChangeOwnPassword,
  /// Without the old password.
  kResetPassword,
  kDeleteUser,
  kRevokeToken,

  kReadOrganization,
  kCreateOrganization,
  kUpdateOrganization,
  kDeleteOrganization,
  kReadMembers,
  kWriteMembers,

  /// Templates with their versions, parameters and resources.
  kReadTemplate,
  /// Making a workspace from it.
  kUseTemplate,
  kCreateTemplate,
  /// Versions, promotion, archives, late states, debug output.
  kUpdateTemplate,
  kDeleteTemplate,

  /// Workspaces with their builds, logs and events.
  kReadWorkspace,
  kCreateWorkspace,
  kUpdateWorkspace,
  /// Starting, stopping and canceling.
  kBuildWorkspace,
  kDeleteWorkspace,

  /// Provisioner daemons and jobs as administrators see them.
  kReadProvisioners,
  kReadProvisionerKeys,
  kWriteProvisionerKeys,

  kReadBuildStreamStatus,

  /// The audit log of an organization, or of the whole deployment.
  kReadAuditLog,

  /// Acquiring and running the jobs of an organization.
  kRunJobs,
  /// Proposing and applying lifecycle decisions.
  kRunLifecycle,

  kCount,  // the number of actions, no action itself
};

/// What an action is aimed at. Nil ids mean that the object has no organization or no owner.
struct ObjectRef {
  lifecycle::OrganizationId organization_id;
  /// The user it belongs to; for a user account, the user.
  lifecycle::UserId owner_id;
  /// The object is the account of a site owner: others' administrators may not change it.
  bool is_site_owner = false;
};

/// Whether `caller` may do `action` to `object`. Pure; everything without a grant is refused.
bool IsAllowed(const Caller& caller, Action action, const ObjectRef& object);

/// OK; NOT_FOUND when the caller may not even know of the object; PERMISSION_DENIED, reason
/// ACTION_FORBIDDEN, when it may read it but not do this. `object_words` names the object as the
/// caller did ("workspace 'dev'"). For NOT_FOUND the message is exactly NotFound(object_words).
absl::Status Authorize(const Caller& caller, Action action, const ObjectRef& object,
                       absl::string_view object_words);

/// The one sentence for an object that is absent, or that the caller may not know of.
absl::Status NotFound(absl::string_view object_words);

/// PERMISSION_DENIED with reason ACTION_FORBIDDEN: the object, if any, may be seen, but not this.
absl::Status Forbidden(Action action, absl::string_view object_words);

/// Which objects a caller may do `action` to, for narrowing a list or a stream: all of
/// `everything`, those of `organizations`, those it owns within `own_in`, and, with `own`, those
/// it owns anywhere.
struct Scope {
  bool everything = false;
  std::vector<lifecycle::OrganizationId> organizations;
  std::vector<lifecycle::OrganizationId> own_in;
  std::optional<lifecycle::UserId> own;

  bool empty() const { return !everything && organizations.empty() && own_in.empty() && !own; }
};

/// The scope of an action, from the same table as IsAllowed: an object is in it exactly when
/// IsAllowed says so (but for is_site_owner, which a scope does not know).
Scope ScopeOf(const Caller& caller, Action action);

/// The action's words for messages, before those of its object ("update"). Static storage.
absl::string_view ToString(Action action);

}  // namespace coder::auth
