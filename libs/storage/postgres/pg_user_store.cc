#include "libs/storage/postgres/pg_user_store.h"

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/identity_rows.h"
#include "libs/storage/postgres/user_rows.h"

namespace coder::storage {
namespace {

using lifecycle::OrganizationId;
using lifecycle::UserId;

constexpr char kInsertUser[] =
    "INSERT INTO users (id, email, username, name, password_hash, site_roles) "
    "VALUES ($1, $2, $3, $4, $5, $6) RETURNING " CODER_USER_COLUMNS;

constexpr char kInsertFirstUser[] = "INSERT INTO first_user (user_id) VALUES ($1)";

constexpr char kInsertDefaultOrganization[] = R"sql(
  INSERT INTO organizations (id, name, display_name, is_default)
  VALUES ($1, 'default', 'Default', true)
)sql";

constexpr char kInsertAdmin[] =
    "INSERT INTO organization_members (organization_id, user_id, roles) VALUES ($1, $2, '{admin}')";

constexpr char kJoin[] = R"sql(
  INSERT INTO organization_members (organization_id, user_id)
  SELECT id, $2 FROM organizations WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL
)sql";

constexpr char kJoinDefault[] = R"sql(
  INSERT INTO organization_members (organization_id, user_id)
  SELECT id, $1 FROM organizations WHERE is_default
)sql";

// An answer to a repeated request may name a user deleted meanwhile.
constexpr char kFindEvenDeleted[] = "SELECT " CODER_USER_COLUMNS "FROM users WHERE id = $1";
constexpr char kFind[] =
    "SELECT " CODER_USER_COLUMNS "FROM users WHERE id = $1 AND deleted_at IS NULL";
constexpr char kFindByUsername[] =
    "SELECT " CODER_USER_COLUMNS
    "FROM users WHERE lower(username) = lower($1) AND deleted_at IS NULL";
constexpr char kFindByEmail[] =
    "SELECT coalesce(password_hash, '') AS password_hash, " CODER_USER_COLUMNS
    "FROM users WHERE lower(email) = lower($1) AND deleted_at IS NULL";
constexpr char kFindPasswordHash[] =
    "SELECT coalesce(password_hash, '') FROM users WHERE id = $1 AND deleted_at IS NULL";

constexpr char kList[] =
    "SELECT " CODER_USER_COLUMNS
    "FROM users "
    "WHERE deleted_at IS NULL AND lower(username) > lower($1) "
    "  AND ($2::uuid IS NULL OR id = $2) "
    "  AND ($3 = '' OR position(lower($3) IN lower(username)) > 0 "
    "       OR position(lower($3) IN lower(name)) > 0 OR position(lower($3) IN lower(email)) > 0) "
    "ORDER BY lower(username) LIMIT $4";

constexpr char kUpdate[] =
    "UPDATE users SET email = coalesce($2, email), username = coalesce($3, username), "
    "  name = coalesce($4, name), revision = revision + 1, updated_at = now() "
    "WHERE id = $1 RETURNING " CODER_USER_COLUMNS;

constexpr char kSetRoles[] =
    "UPDATE users SET site_roles = $2, access_version = access_version + 1, "
    "  revision = revision + 1, updated_at = now() "
    "WHERE id = $1 RETURNING " CODER_USER_COLUMNS;

constexpr char kSetStatus[] =
    "UPDATE users SET status = $2, access_version = access_version + 1, "
    "  revision = revision + 1, updated_at = now() "
    "WHERE id = $1 RETURNING " CODER_USER_COLUMNS;

constexpr char kSetPassword[] = R"sql(
  UPDATE users SET password_hash = $2, revision = revision + 1, updated_at = now() WHERE id = $1
)sql";

constexpr char kEndOtherSessions[] = R"sql(
  UPDATE api_keys SET revoked_at = now()
  WHERE user_id = $1 AND kind = 'session' AND revoked_at IS NULL AND id <> $2
)sql";

constexpr char kHasWorkspaces[] =
    "SELECT 1 FROM workspaces WHERE owner_id = $1 AND deleted_at IS NULL LIMIT 1";
constexpr char kEndKeys[] =
    "UPDATE api_keys SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL";
constexpr char kLeaveAll[] = "DELETE FROM organization_members WHERE user_id = $1";
constexpr char kDelete[] = R"sql(
  UPDATE users SET deleted_at = now(), password_hash = NULL, site_roles = '{}',
    access_version = access_version + 1, revision = revision + 1, updated_at = now()
  WHERE id = $1
)sql";

absl::StatusOr<UserRecord> InsertUser(pg::Transaction& tx, const NewUser& user,
                                      auth::SiteRoles roles) {
  const auto inserted =
      tx.Execute(kInsertUser, {user.id.ToString(), user.email, user.username, user.name,
                               user.password_hash, auth::ToWords(roles)});
  if (!inserted.ok()) return TranslateUserConflict(inserted.status(), user.email, user.username);
  return ReadUser((*inserted)[0]);
}

absl::Status Join(pg::Transaction& tx, const NewUser& user) {
  if (user.organizations.empty()) {
    return tx.Execute(kJoinDefault, {user.id.ToString()}).status();
  }
  std::vector<std::string> ids;
  for (const OrganizationId& id : user.organizations) ids.push_back(id.ToString());
  ASSIGN_OR_RETURN(const pg::Result joined, tx.Execute(kJoin, {ids, user.id.ToString()}));
  if (joined.affected() != static_cast<int64_t>(ids.size())) {
    return absl::NotFoundError("create user: one of the organizations does not exist");
  }
  return absl::OkStatus();
}

absl::StatusOr<UserRecord> CreateFirst(pg::Transaction& tx, const NewUser& user,
                                       const OrganizationId& organization) {
  const std::string id = user.id.ToString();
  ASSIGN_OR_RETURN(UserRecord created, InsertUser(tx, user, {auth::SiteRole::kOwner}));
  RETURN_IF_ERROR(tx.Execute(kInsertFirstUser, {id}).status());
  RETURN_IF_ERROR(tx.Execute(kInsertDefaultOrganization, {organization.ToString()}).status());
  RETURN_IF_ERROR(tx.Execute(kInsertAdmin, {organization.ToString(), id}).status());
  return created;
}

absl::StatusOr<UserRecord> CreateIn(pg::Transaction& tx, const NewUser& user,
                                    const std::optional<RequestKey>& request) {
  if (request) {
    ASSIGN_OR_RETURN(const std::optional<std::string> answered, FindResponse(tx, *request));
    if (answered) {
      ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(kFindEvenDeleted, {*answered}));
      if (rows.empty()) return UserAbsent();
      return ReadUser(rows[0]);
    }
  }
  ASSIGN_OR_RETURN(UserRecord created, InsertUser(tx, user, {}));
  RETURN_IF_ERROR(Join(tx, user));
  if (request) RETURN_IF_ERROR(StoreResponse(tx, *request, user.id.ToString()));
  return created;
}

absl::Status DeleteIn(pg::Transaction& tx, const UserId& id, int64_t expected_revision) {
  const std::string text = id.ToString();
  RETURN_IF_ERROR(CheckAnotherOwner(tx, id));
  RETURN_IF_ERROR(LockUser(tx, id, expected_revision).status());
  ASSIGN_OR_RETURN(const pg::Result workspaces, tx.Execute(kHasWorkspaces, {text}));
  if (!workspaces.empty()) {
    return status::WithReason(
        absl::FailedPreconditionError("delete user: it owns workspaces; delete those first"),
        "USER_HAS_WORKSPACES");
  }
  pg::Pipeline pipeline;
  pipeline.Add(kEndKeys, {text}).Add(kLeaveAll, {text}).Add(kDelete, {text});
  return tx.Execute(pipeline).status();
}

}  // namespace

absl::StatusOr<bool> PgUserStore::HasFirstUser(clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute("SELECT EXISTS (SELECT FROM first_user)", {}, deadline));
  return rows.Get<bool>(0, 0);
}

absl::StatusOr<UserRecord> PgUserStore::CreateFirstUser(const NewUser& user,
                                                        const OrganizationId& organization,
                                                        clock::Deadline deadline) {
  const auto exists = [] {
    return status::WithReason(
        absl::AlreadyExistsError("create first user: the deployment has one; log in instead"),
        "FIRST_USER_EXISTS");
  };
  // Asked first, so that a late caller with a taken name learns the right thing.
  ASSIGN_OR_RETURN(const bool has_first, HasFirstUser(deadline));
  if (has_first) return exists();
  auto created = pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    return CreateFirst(tx, user, organization);
  });
  if (created.ok() || created.status().code() != absl::StatusCode::kAlreadyExists) return created;
  // Whichever unique key a racer met, it met a committed first user.
  return exists();
}

absl::StatusOr<UserRecord> PgUserStore::Create(const NewUser& user,
                                               const std::optional<RequestKey>& request,
                                               clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return CreateIn(tx, user, request); });
}

absl::StatusOr<UserRecord> PgUserStore::Find(const UserId& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFind, {id.ToString()}, deadline));
  if (rows.empty()) return UserAbsent();
  return ReadUser(rows[0]);
}

absl::StatusOr<UserRecord> PgUserStore::FindByUsername(const std::string& username,
                                                       clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFindByUsername, {username}, deadline));
  if (rows.empty()) return UserAbsent();
  return ReadUser(rows[0]);
}

absl::StatusOr<UserWithPassword> PgUserStore::FindByEmail(const std::string& email,
                                                          clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFindByEmail, {email}, deadline));
  if (rows.empty()) return UserAbsent();
  return UserWithPassword{.user = ReadUser(rows[0]),
                          .password_hash = rows[0].Get<std::string>("password_hash")};
}

absl::StatusOr<std::string> PgUserStore::FindPasswordHash(const UserId& id,
                                                          clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kFindPasswordHash, {id.ToString()}, deadline));
  if (rows.empty()) return UserAbsent();
  return rows.Get<std::string>(0, 0);
}

absl::StatusOr<std::vector<UserRecord>> PgUserStore::List(const UserQuery& query,
                                                          clock::Deadline deadline) {
  std::optional<std::string> only;
  if (query.only) only = query.only->ToString();
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      pool_.Execute(kList, {query.after_username, only, query.search, query.limit}, deadline));
  std::vector<UserRecord> users;
  for (const pg::Result::Row& row : rows) users.push_back(ReadUser(row));
  return users;
}

absl::StatusOr<UserRecord> PgUserStore::Update(const UserId& id, const UserChange& change,
                                               std::optional<int64_t> expected_revision,
                                               clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<UserRecord> {
        RETURN_IF_ERROR(LockUser(tx, id, expected_revision).status());
        const auto updated =
            tx.Execute(kUpdate, {id.ToString(), change.email, change.username, change.name});
        if (!updated.ok()) {
          return TranslateUserConflict(updated.status(), change.email.value_or(""),
                                       change.username.value_or(""));
        }
        return ReadUser((*updated)[0]);
      });
}

absl::StatusOr<UserRecord> PgUserStore::SetRoles(const UserId& id, auth::SiteRoles roles,
                                                 int64_t expected_revision,
                                                 clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<UserRecord> {
        if (!roles.Has(auth::SiteRole::kOwner)) RETURN_IF_ERROR(CheckAnotherOwner(tx, id));
        RETURN_IF_ERROR(LockUser(tx, id, expected_revision).status());
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(kSetRoles, {id.ToString(), auth::ToWords(roles)}));
        return ReadUser(rows[0]);
      });
}

absl::StatusOr<UserRecord> PgUserStore::SetStatus(const UserId& id, lifecycle::UserStatus status,
                                                  int64_t expected_revision,
                                                  clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<UserRecord> {
        if (status == lifecycle::UserStatus::kSuspended) {
          RETURN_IF_ERROR(CheckAnotherOwner(tx, id));
        }
        RETURN_IF_ERROR(LockUser(tx, id, expected_revision).status());
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(kSetStatus, {id.ToString(), lifecycle::ToString(status)}));
        return ReadUser(rows[0]);
      });
}

absl::Status PgUserStore::SetPassword(const UserId& id, const std::string& password_hash,
                                      const std::string& kept_session, int64_t expected_revision,
                                      clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) -> absl::Status {
                                RETURN_IF_ERROR(LockUser(tx, id, expected_revision).status());
                                pg::Pipeline pipeline;
                                pipeline.Add(kSetPassword, {id.ToString(), password_hash})
                                    .Add(kEndOtherSessions, {id.ToString(), kept_session});
                                return tx.Execute(pipeline).status();
                              });
}

absl::Status PgUserStore::Delete(const UserId& id, int64_t expected_revision,
                                 clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    return DeleteIn(tx, id, expected_revision);
  });
}

}  // namespace coder::storage
