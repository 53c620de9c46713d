#include "libs/storage/postgres/pg_api_key_store.h"

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/identity_rows.h"

namespace coder::storage {
namespace {

// The user's row is locked: a suspension at the same moment comes wholly before or wholly after.
constexpr char kLockUser[] = R"sql(
  SELECT 1 FROM users
  WHERE id = $1 AND deleted_at IS NULL AND status <> 'suspended' FOR UPDATE
)sql";

// An expired token frees its name.
constexpr char kFreeName[] = R"sql(
  UPDATE api_keys SET revoked_at = expires_at
  WHERE user_id = $1 AND kind = 'token' AND lower(token_name) = lower($2)
    AND revoked_at IS NULL AND expires_at <= now()
)sql";

constexpr char kInsert[] = R"sql(
  INSERT INTO api_keys (id, hashed_secret, user_id, kind, token_name, lifetime, expires_at)
  VALUES ($1, $2, $3, CASE $4 WHEN '' THEN 'session' ELSE 'token' END, $4,
          $5::interval, now() + $5::interval)
  RETURNING id, user_id, token_name, created_at, expires_at, last_used_at
)sql";

constexpr char kSeen[] = R"sql(
  UPDATE users SET last_seen_at = now(),
    status = CASE status WHEN 'dormant' THEN 'active' ELSE status END
  WHERE id = $1
)sql";

constexpr char kList[] = R"sql(
  SELECT id, user_id, token_name, created_at, expires_at, last_used_at FROM api_keys
  WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
  ORDER BY created_at, id
)sql";

constexpr char kFind[] = R"sql(
  SELECT id, user_id, token_name, created_at, expires_at, last_used_at FROM api_keys
  WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
)sql";

constexpr char kRevoke[] = R"sql(
  UPDATE api_keys SET revoked_at = now()
  WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
)sql";

ApiKeyRecord Read(const pg::Result::Row& row) {
  return {.id = row.Get<std::string>("id"),
          .user_id = ReadId<lifecycle::UserId>(row, "user_id"),
          .name = row.Get<std::string>("token_name"),
          .created_at = row.Get<absl::Time>("created_at"),
          .expires_at = row.Get<absl::Time>("expires_at"),
          .last_used_at = row.Get<std::optional<absl::Time>>("last_used_at")};
}

absl::Status Absent() {
  return absl::NotFoundError("find token: no live session or token has this id");
}

absl::Status Translate(const absl::Status& error, const NewApiKeyRecord& key) {
  if (pg::ConstraintName(error) != "api_keys_token_name_key") return error;
  return status::WithFieldViolation(
      absl::AlreadyExistsError(absl::StrCat("create token '", key.name,
                                            "': you have a live token of this name; revoke it or "
                                            "choose another name")),
      "name", "is in use");
}

absl::StatusOr<ApiKeyRecord> CreateIn(pg::Transaction& tx, const NewApiKeyRecord& key) {
  const std::string user = key.user_id.ToString();
  ASSIGN_OR_RETURN(const pg::Result locked, tx.Execute(kLockUser, {user}));
  if (locked.empty()) {
    return status::WithReason(
        absl::FailedPreconditionError("create token: the account is suspended or deleted"),
        "USER_SUSPENDED");
  }
  if (key.name.empty()) {
    RETURN_IF_ERROR(tx.Execute(kSeen, {user}).status());
  } else {
    RETURN_IF_ERROR(tx.Execute(kFreeName, {user, key.name}).status());
  }
  const auto inserted =
      tx.Execute(kInsert, {key.id, pg::Bytea{key.hashed_secret}, user, key.name, key.lifetime});
  if (!inserted.ok()) return Translate(inserted.status(), key);
  return Read((*inserted)[0]);
}

}  // namespace

absl::StatusOr<ApiKeyRecord> PgApiKeyStore::Create(const NewApiKeyRecord& key,
                                                   clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return CreateIn(tx, key); });
}

absl::StatusOr<std::vector<ApiKeyRecord>> PgApiKeyStore::List(const lifecycle::UserId& user,
                                                              clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kList, {user.ToString()}, deadline));
  std::vector<ApiKeyRecord> keys;
  for (const pg::Result::Row& row : rows) keys.push_back(Read(row));
  return keys;
}

absl::StatusOr<ApiKeyRecord> PgApiKeyStore::Find(const std::string& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFind, {id}, deadline));
  if (rows.empty()) return Absent();
  return Read(rows[0]);
}

absl::Status PgApiKeyStore::Revoke(const std::string& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kRevoke, {id}, deadline));
  return rows.affected() == 0 ? Absent() : absl::OkStatus();
}

}  // namespace coder::storage
