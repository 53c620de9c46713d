#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

/// A session or API token without its secret.
struct ApiKeyRecord {
  std::string id;
  lifecycle::UserId user_id;
  /// Empty for a session.
  std::string name;
  absl::Time created_at;
  absl::Time expires_at;
  std::optional<absl::Time> last_used_at;
};

struct NewApiKeyRecord {
  std::string id;
  /// SHA-256, 32 bytes.
  std::string hashed_secret;
  lifecycle::UserId user_id;
  /// Empty makes a session.
  std::string name;
  absl::Duration lifetime;
};

/// Sessions and API tokens. Thread-safe; each method is one transaction. Every method returns,
/// besides its own, the errors of Pool::Acquire and of libs/pg/sqlstate.h.
class ApiKeyStore {
 public:
  virtual ~ApiKeyStore() = default;

  /// Stores a key that expires `lifetime` from the database's now. A session is a log-in: it marks
  /// its user as seen and makes a dormant one active.
  ///   FAILED_PRECONDITION  the user is suspended or deleted, reason USER_SUSPENDED
  ///   ALREADY_EXISTS       another live token of the user has the name
  virtual absl::StatusOr<ApiKeyRecord> Create(const NewApiKeyRecord& key,
                                              clock::Deadline deadline) = 0;

  /// The user's keys that have neither expired nor been revoked, the oldest first.
  virtual absl::StatusOr<std::vector<ApiKeyRecord>> List(const lifecycle::UserId& user,
                                                         clock::Deadline deadline) = 0;

  /// A key that has neither expired nor been revoked. NOT_FOUND.
  virtual absl::StatusOr<ApiKeyRecord> Find(const std::string& id, clock::Deadline deadline) = 0;

  /// Ends a key. NOT_FOUND when there is none that lives.
  virtual absl::Status Revoke(const std::string& id, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
