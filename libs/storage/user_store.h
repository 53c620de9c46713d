#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/types.h"
#include "libs/storage/idempotency.h"

namespace coder::storage {

/// An account as stored, without its password.
struct UserRecord {
  lifecycle::UserId id;
  std::string email;
  std::string username;
  std::string name;
  lifecycle::UserStatus status = lifecycle::UserStatus::kActive;
  auth::SiteRoles roles;
  absl::Time created_at;
  absl::Time updated_at;
  std::optional<absl::Time> last_seen_at;
  /// Rises with every change but last_seen_at; the etag.
  int64_t revision = 0;
};

/// An account with its password's hash, for log-in. The hash is empty when it has no password.
struct UserWithPassword {
  UserRecord user;
  std::string password_hash;
};

struct NewUser {
  lifecycle::UserId id;
  std::string email;
  std::string username;
  std::string name;
  std::string password_hash;
  /// Joined as a plain member; empty: the default organization.
  std::vector<lifecycle::OrganizationId> organizations;
};

/// What to change; unset stays.
struct UserChange {
  std::optional<std::string> email;
  std::optional<std::string> username;
  std::optional<std::string> name;
};

struct UserQuery {
  /// Part of the username, name or e-mail, ignoring case; empty: all.
  std::string search;
  /// Only this user; unset: everybody.
  std::optional<lifecycle::UserId> only;
  /// Usernames after this one, ignoring case; empty: from the first.
  std::string after_username;
  int limit = 50;
};

/// The accounts. Names and addresses are found and unique ignoring case; deleted accounts are
/// absent and free theirs. Thread-safe; each method is one transaction. Every method returns,
/// besides its own, the errors of Pool::Acquire and of libs/pg/sqlstate.h.
///
/// A method given `expected_revision` changes nothing and returns ABORTED, reason ETAG_MISMATCH,
/// when the account is at another one. What takes the last active owner away returns
/// FAILED_PRECONDITION, reason LAST_OWNER; concurrent attempts are serialised.
class UserStore {
 public:
  virtual ~UserStore() = default;

  /// Whether the first user was created.
  virtual absl::StatusOr<bool> HasFirstUser(clock::Deadline deadline) = 0;

  /// Creates the first user, an owner, and the default organization with it as admin.
  /// `user.organizations` is ignored. ALREADY_EXISTS, reason FIRST_USER_EXISTS, ever after; of many
  /// at once exactly one succeeds.
  virtual absl::StatusOr<UserRecord> CreateFirstUser(const NewUser& user,
                                                     const lifecycle::OrganizationId& organization,
                                                     clock::Deadline deadline) = 0;

  /// Creates an active user without site roles. With `request`, the same request again answers with
  /// the user it created (idempotency.h).
  ///   ALREADY_EXISTS    the e-mail or username is in use (with a field violation)
  ///   NOT_FOUND         an organization does not exist
  ///   INVALID_ARGUMENT  reason REQUEST_ID_REUSED
  virtual absl::StatusOr<UserRecord> Create(const NewUser& user,
                                            const std::optional<RequestKey>& request,
                                            clock::Deadline deadline) = 0;

  /// The account of an id, of a username, or of an e-mail. NOT_FOUND.
  virtual absl::StatusOr<UserRecord> Find(const lifecycle::UserId& id,
                                          clock::Deadline deadline) = 0;
  virtual absl::StatusOr<UserRecord> FindByUsername(const std::string& username,
                                                    clock::Deadline deadline) = 0;
  virtual absl::StatusOr<UserWithPassword> FindByEmail(const std::string& email,
                                                       clock::Deadline deadline) = 0;
  /// An account's password hash; empty without one. NOT_FOUND.
  virtual absl::StatusOr<std::string> FindPasswordHash(const lifecycle::UserId& id,
                                                       clock::Deadline deadline) = 0;

  /// Ordered by username, ignoring case.
  virtual absl::StatusOr<std::vector<UserRecord>> List(const UserQuery& query,
                                                       clock::Deadline deadline) = 0;

  /// NOT_FOUND; ALREADY_EXISTS as Create.
  virtual absl::StatusOr<UserRecord> Update(const lifecycle::UserId& id, const UserChange& change,
                                            std::optional<int64_t> expected_revision,
                                            clock::Deadline deadline) = 0;

  /// NOT_FOUND; FAILED_PRECONDITION, LAST_OWNER.
  virtual absl::StatusOr<UserRecord> SetRoles(const lifecycle::UserId& id, auth::SiteRoles roles,
                                              int64_t expected_revision,
                                              clock::Deadline deadline) = 0;
  virtual absl::StatusOr<UserRecord> SetStatus(const lifecycle::UserId& id,
                                               lifecycle::UserStatus status,
                                               int64_t expected_revision,
                                               clock::Deadline deadline) = 0;

  /// Sets the password and ends the user's sessions, except `kept_session` if not empty. NOT_FOUND.
  virtual absl::Status SetPassword(const lifecycle::UserId& id, const std::string& password_hash,
                                   const std::string& kept_session, int64_t expected_revision,
                                   clock::Deadline deadline) = 0;

  /// Ends the account with its sessions, tokens and memberships. NOT_FOUND; FAILED_PRECONDITION,
  /// reason USER_HAS_WORKSPACES or LAST_OWNER.
  virtual absl::Status Delete(const lifecycle::UserId& id, int64_t expected_revision,
                              clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
