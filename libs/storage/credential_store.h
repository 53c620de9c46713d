#pragma once

#include <map>
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

namespace coder::storage {

/// A session or API token as stored, with the rights of its user at the same moment.
struct ApiKeyCredential {
  std::string id;
  /// SHA-256, 32 bytes.
  std::string hashed_secret;
  absl::Time expires_at;
  std::optional<absl::Time> revoked_at;
  std::optional<absl::Time> last_used_at;

  lifecycle::UserId user_id;
  std::string username;
  lifecycle::UserStatus user_status = lifecycle::UserStatus::kActive;
  bool user_deleted = false;
  auth::SiteRoles site_roles;
  std::vector<auth::Membership> memberships;
  int64_t access_version = 0;
};

/// A provisioner key as stored.
struct ProvisionerKeyCredential {
  lifecycle::ProvisionerKeyId id;
  /// SHA-256, 32 bytes.
  std::string hashed_secret;
  std::string name;
  lifecycle::OrganizationId organization_id;
  std::map<std::string, std::string> tags;
  std::optional<absl::Time> revoked_at;
};

/// What the authenticator reads: many credentials at a time, each lookup one statement.
/// Thread-safe. Every method returns, besides its own: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED and
/// UNAVAILABLE when the database cannot be asked in time.
class CredentialStore {
 public:
  virtual ~CredentialStore() = default;

  /// The keys of these ids that exist, revoked and expired ones too, in any order.
  virtual absl::StatusOr<std::vector<ApiKeyCredential>> FindApiKeys(
      const std::vector<std::string>& ids, clock::Deadline deadline) = 0;

  /// The keys with these secret hashes, revoked ones too, in any order.
  virtual absl::StatusOr<std::vector<ProvisionerKeyCredential>> FindProvisionerKeys(
      const std::vector<std::string>& hashed_secrets, clock::Deadline deadline) = 0;

  /// Notes that a key is in use at the database's time: its last use, its user's last seen time
  /// and, for a dormant user, the return to active. A session is extended to its full lifetime from
  /// now. OK, too, when the key is gone.
  virtual absl::Status RecordUse(const std::string& api_key_id, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
