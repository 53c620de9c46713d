#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/pg/result.h"
#include "libs/pg/transaction.h"
#include "libs/storage/user_store.h"

namespace coder::storage {

/// The columns ReadUser reads.
#define CODER_USER_COLUMNS                                                  \
  "id, email, username, name, status, site_roles, created_at, updated_at, " \
  "last_seen_at, revision "

/// A row of CODER_USER_COLUMNS.
UserRecord ReadUser(const pg::Result::Row& row);

/// NOT_FOUND for an absent account.
absl::Status UserAbsent();

/// ABORTED, reason ETAG_MISMATCH.
absl::Status UserChangedMeanwhile();

/// Turns violations of the unique e-mail and username into ALREADY_EXISTS naming the field; other
/// errors stay.
absl::Status TranslateUserConflict(const absl::Status& error, const std::string& email,
                                   const std::string& username);

/// Locks the account's row. NOT_FOUND; ABORTED, reason ETAG_MISMATCH, when a revision is given and
/// not current.
absl::StatusOr<UserRecord> LockUser(pg::Transaction& tx, const lifecycle::UserId& id,
                                    std::optional<int64_t> expected_revision);

/// Locks all owners' rows, so that of concurrent losses one sees the other. FAILED_PRECONDITION,
/// reason LAST_OWNER, when no active owner but `id` is left. To be called before LockUser.
absl::Status CheckAnotherOwner(pg::Transaction& tx, const lifecycle::UserId& id);

}  // namespace coder::storage
