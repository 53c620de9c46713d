#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/ids/uuid.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

/// What a recorded call meant to do.
enum class AuditAction : uint8_t { kCreate, kWrite, kDelete, kStart, kStop, kLogin, kLogout };

/// How it ended: done, refused for who made it, or not done for any other reason. After a deadline
/// a failed one may have been done all the same.
enum class AuditOutcome : uint8_t { kAllowed, kDenied, kFailed };

/// The words for actions and outcomes, as stored, in the order of the enums.
inline constexpr std::array<absl::string_view, 7> kAuditActionWords = {
    "create", "write", "delete", "start", "stop", "login", "logout"};
inline constexpr std::array<absl::string_view, 3> kAuditOutcomeWords = {"allowed", "denied",
                                                                        "failed"};
constexpr absl::string_view ToString(AuditAction action) {
  return kAuditActionWords[static_cast<size_t>(action)];
}
constexpr absl::string_view ToString(AuditOutcome outcome) {
  return kAuditOutcomeWords[static_cast<size_t>(outcome)];
}

/// One call that changed something or was to. A value; holds no secret.
struct AuditRecord {
  ids::Uuid id;
  /// By the database's clock; the store sets it.
  absl::Time time;
  std::optional<lifecycle::OrganizationId> organization;
  std::optional<lifecycle::UserId> actor_user;
  /// As auth::Caller::Identity.
  std::string actor = "anonymous";
  /// The username or the provisioner key's name, as it was then.
  std::string actor_name;
  /// The public part of the session's or API token's text, or the provisioner key's id.
  std::string token_id;
  std::string address;
  std::string user_agent;
  std::string request_id;
  /// As on the wire: "/coder.api.v1.AuthService/Login".
  std::string method;
  AuditAction action = AuditAction::kWrite;
  /// A noun: "workspace".
  std::string resource_type;
  /// Its id where it is known, else what the request called it.
  std::string resource_id;
  std::string resource_name;
  AuditOutcome outcome = AuditOutcome::kAllowed;
  /// "OK", "NOT_FOUND".
  std::string status_code;
  /// The error's stable word ("ACTION_FORBIDDEN"), if it has one.
  std::string reason;
  std::map<std::string, std::string> details;
};

/// What a list is narrowed to; what is unset narrows nothing.
struct AuditFilter {
  /// Records of these organizations only.
  std::optional<std::vector<lifecycle::OrganizationId>> organizations;
  /// A user's id, or a username or key name as it was then.
  std::string actor;
  std::string resource_type;
  /// An id or a name.
  std::string resource;
  std::string method;
  std::optional<AuditAction> action;
  std::optional<AuditOutcome> outcome;
  /// From, included, and until, excluded.
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();
};

/// Where a page of the list ends.
struct AuditPageKey {
  absl::Time time;
  ids::Uuid id;
};

/// What was done by whom. Thread-safe. Errors of every method as Pool::Execute.
class AuditLogStore {
 public:
  virtual ~AuditLogStore() = default;

  /// Keeps a record; it is durable when OK is returned.
  virtual absl::Status Append(const AuditRecord& record, clock::Deadline deadline) = 0;

  /// At most `limit` records, the newest first, those before `before` if given.
  virtual absl::StatusOr<std::vector<AuditRecord>> List(const AuditFilter& filter,
                                                        const std::optional<AuditPageKey>& before,
                                                        int limit, clock::Deadline deadline) = 0;

  /// Forgets records older than `retention`, the oldest first, at most `limit`; returns how many
  /// went.
  virtual absl::StatusOr<int64_t> DropOlderThan(absl::Duration retention, int limit,
                                                clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
