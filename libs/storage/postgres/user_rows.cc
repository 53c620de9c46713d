#include "libs/storage/postgres/user_rows.h"

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/identity_rows.h"

namespace coder::storage {
namespace {

constexpr char kLock[] =
    "SELECT " CODER_USER_COLUMNS "FROM users WHERE id = $1 AND deleted_at IS NULL FOR UPDATE";

// In id order, as every locker of several users does.
constexpr char kLockOwners[] = R"sql(
  SELECT id, status FROM users
  WHERE 'owner' = ANY (site_roles) AND deleted_at IS NULL ORDER BY id FOR UPDATE
)sql";

}  // namespace

UserRecord ReadUser(const pg::Result::Row& row) {
  UserRecord user;
  user.id = ReadId<lifecycle::UserId>(row, "id");
  user.email = row.Get<std::string>("email");
  user.username = row.Get<std::string>("username");
  user.name = row.Get<std::string>("name");
  user.status = ReadUserStatus(row, "status");
  user.roles = ReadSiteRoles(row, "site_roles");
  user.created_at = row.Get<absl::Time>("created_at");
  user.updated_at = row.Get<absl::Time>("updated_at");
  user.last_seen_at = row.Get<std::optional<absl::Time>>("last_seen_at");
  user.revision = row.Get<int64_t>("revision");
  return user;
}

absl::Status UserAbsent() { return absl::NotFoundError("find user: no such user exists"); }

absl::Status UserChangedMeanwhile() {
  return status::WithReason(
      absl::AbortedError("change user: it was changed meanwhile; read it again and repeat"),
      "ETAG_MISMATCH");
}

absl::Status TranslateUserConflict(const absl::Status& error, const std::string& email,
                                   const std::string& username) {
  const std::string constraint = pg::ConstraintName(error);
  const bool is_email = constraint == "users_email_key";
  if (!is_email && constraint != "users_username_key") return error;
  return status::WithFieldViolation(
      absl::AlreadyExistsError(
          absl::StrCat("store user: the ", is_email ? "e-mail '" : "username '",
                       is_email ? email : username, "' is in use; choose another")),
      is_email ? "email" : "username", "is in use");
}

absl::StatusOr<UserRecord> LockUser(pg::Transaction& tx, const lifecycle::UserId& id,
                                    std::optional<int64_t> expected_revision) {
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(kLock, {id.ToString()}));
  if (rows.empty()) return UserAbsent();
  UserRecord user = ReadUser(rows[0]);
  if (expected_revision && user.revision != *expected_revision) return UserChangedMeanwhile();
  return user;
}

absl::Status CheckAnotherOwner(pg::Transaction& tx, const lifecycle::UserId& id) {
  ASSIGN_OR_RETURN(const pg::Result owners, tx.Execute(kLockOwners));
  bool is_owner = false;
  for (const pg::Result::Row& row : owners) {
    if (ReadId<lifecycle::UserId>(row, "id") == id) {
      is_owner = true;
    } else if (ReadUserStatus(row, "status") != lifecycle::UserStatus::kSuspended) {
      return absl::OkStatus();
    }
  }
  if (!is_owner) return absl::OkStatus();
  return status::WithReason(
      absl::FailedPreconditionError("change user: it is the last active owner; make another user "
                                    "an owner first"),
      "LAST_OWNER");
}

}  // namespace coder::storage
