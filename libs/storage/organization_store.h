#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/auth/policy.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/idempotency.h"

namespace coder::storage {

struct OrganizationRecord {
  lifecycle::OrganizationId id;
  std::string name;
  std::string display_name;
  std::string description;
  bool is_default = false;
  absl::Time created_at;
  absl::Time updated_at;
  /// Rises with every change; the etag.
  int64_t revision = 0;
};

struct MemberRecord {
  lifecycle::OrganizationId organization_id;
  lifecycle::UserId user_id;
  std::string username;
  auth::OrganizationRoles roles;
  absl::Time created_at;
};

struct NewOrganization {
  lifecycle::OrganizationId id;
  std::string name;
  std::string display_name;
  std::string description;
  /// Becomes a member with role admin.
  lifecycle::UserId creator;
};

/// What to change; unset stays.
struct OrganizationChange {
  std::optional<std::string> name;
  std::optional<std::string> display_name;
  std::optional<std::string> description;
};

/// Organizations and their members. Names are found and unique ignoring case; deleted
/// organizations are absent and free theirs. A change of memberships raises the users' access
/// version. Thread-safe; each method is one transaction. Every method returns, besides its own, the
/// errors of Pool::Acquire and of libs/pg/sqlstate.h.
class OrganizationStore {
 public:
  virtual ~OrganizationStore() = default;

  /// With `request`, the same request again answers with what it created (idempotency.h).
  /// ALREADY_EXISTS for a name in use (with a field violation); INVALID_ARGUMENT, reason
  /// REQUEST_ID_REUSED.
  virtual absl::StatusOr<OrganizationRecord> Create(const NewOrganization& organization,
                                                    const std::optional<RequestKey>& request,
                                                    clock::Deadline deadline) = 0;

  /// The organization of an id, of a name, or the default one. NOT_FOUND.
  virtual absl::StatusOr<OrganizationRecord> Find(const lifecycle::OrganizationId& id,
                                                  clock::Deadline deadline) = 0;
  virtual absl::StatusOr<OrganizationRecord> FindByName(const std::string& name,
                                                        clock::Deadline deadline) = 0;
  virtual absl::StatusOr<OrganizationRecord> FindDefault(clock::Deadline deadline) = 0;

  /// Those within `scope`, ordered by name ignoring case, after `after_name`.
  virtual absl::StatusOr<std::vector<OrganizationRecord>> List(const auth::Scope& scope,
                                                               const std::string& after_name,
                                                               int limit,
                                                               clock::Deadline deadline) = 0;

  /// NOT_FOUND; ALREADY_EXISTS for a name in use; ABORTED, reason ETAG_MISMATCH, when
  /// `expected_revision` is given and not current.
  virtual absl::StatusOr<OrganizationRecord> Update(const lifecycle::OrganizationId& id,
                                                    const OrganizationChange& change,
                                                    std::optional<int64_t> expected_revision,
                                                    clock::Deadline deadline) = 0;

  /// Ends it with its memberships and provisioner keys. NOT_FOUND; FAILED_PRECONDITION, reason
  /// DEFAULT_ORGANIZATION or ORGANIZATION_NOT_EMPTY.
  virtual absl::Status Delete(const lifecycle::OrganizationId& id, clock::Deadline deadline) = 0;

  /// Ordered by username ignoring case, after `after_username`.
  virtual absl::StatusOr<std::vector<MemberRecord>> ListMembers(const lifecycle::OrganizationId& id,
                                                                const std::string& after_username,
                                                                int limit,
                                                                clock::Deadline deadline) = 0;

  /// NOT_FOUND for an absent user or organization; ALREADY_EXISTS for a member.
  virtual absl::StatusOr<MemberRecord> AddMember(const lifecycle::OrganizationId& id,
                                                 const lifecycle::UserId& user,
                                                 auth::OrganizationRoles roles,
                                                 clock::Deadline deadline) = 0;

  /// NOT_FOUND for a user who is no member.
  virtual absl::StatusOr<MemberRecord> SetMemberRoles(const lifecycle::OrganizationId& id,
                                                      const lifecycle::UserId& user,
                                                      auth::OrganizationRoles roles,
                                                      clock::Deadline deadline) = 0;

  /// NOT_FOUND for a user who is no member; FAILED_PRECONDITION, reason MEMBER_HAS_WORKSPACES.
  virtual absl::Status RemoveMember(const lifecycle::OrganizationId& id,
                                    const lifecycle::UserId& user, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
