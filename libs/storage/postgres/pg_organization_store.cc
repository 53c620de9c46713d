#include "libs/storage/postgres/pg_organization_store.h"

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/identity_rows.h"

namespace coder::storage {
namespace {

using lifecycle::OrganizationId;
using lifecycle::UserId;

#define ORGANIZATION_COLUMNS \
  "id, name, display_name, description, is_default, created_at, updated_at, revision "

constexpr char kInsert[] =
    "INSERT INTO organizations (id, name, display_name, description) VALUES ($1, $2, $3, $4) "
    "RETURNING " ORGANIZATION_COLUMNS;
constexpr char kFindEvenDeleted[] =
    "SELECT " ORGANIZATION_COLUMNS "FROM organizations WHERE id = $1";
constexpr char kFind[] =
    "SELECT " ORGANIZATION_COLUMNS "FROM organizations WHERE id = $1 AND deleted_at IS NULL";
constexpr char kFindByName[] =
    "SELECT " ORGANIZATION_COLUMNS
    "FROM organizations WHERE lower(name) = lower($1) AND deleted_at IS NULL";
constexpr char kFindDefault[] =
    "SELECT " ORGANIZATION_COLUMNS "FROM organizations WHERE is_default AND deleted_at IS NULL";
constexpr char kLock[] = "SELECT " ORGANIZATION_COLUMNS
                         "FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR UPDATE";
constexpr char kList[] =
    "SELECT " ORGANIZATION_COLUMNS
    "FROM organizations "
    "WHERE deleted_at IS NULL AND lower(name) > lower($1) AND ($2 OR id = ANY ($3::uuid[])) "
    "ORDER BY lower(name) LIMIT $4";
constexpr char kUpdate[] =
    "UPDATE organizations SET name = coalesce($2, name), "
    "  display_name = coalesce($3, display_name), description = coalesce($4, description), "
    "  revision = revision + 1, updated_at = now() "
    "WHERE id = $1 RETURNING " ORGANIZATION_COLUMNS;

#undef ORGANIZATION_COLUMNS

constexpr char kIsInUse[] = R"sql(
  SELECT EXISTS (SELECT FROM templates WHERE organization_id = $1 AND deleted_at IS NULL)
      OR EXISTS (SELECT FROM workspaces WHERE organization_id = $1 AND deleted_at IS NULL)
)sql";
constexpr char kDelete[] = R"sql(
  UPDATE organizations SET deleted_at = now(), revision = revision + 1, updated_at = now()
  WHERE id = $1
)sql";
constexpr char kRevokeKeys[] = R"sql(
  UPDATE provisioner_keys SET revoked_at = now() WHERE organization_id = $1 AND revoked_at IS NULL
)sql";
// In id order, as every locker of several users does.
constexpr char kTouchMembers[] = R"sql(
  WITH members AS (
    SELECT u.id FROM users u JOIN organization_members m ON m.user_id = u.id
    WHERE m.organization_id = $1 ORDER BY u.id FOR UPDATE OF u
  )
  UPDATE users SET access_version = access_version + 1
  FROM members WHERE users.id = members.id
)sql";
constexpr char kDeleteMembers[] = "DELETE FROM organization_members WHERE organization_id = $1";

constexpr char kTouchUser[] = R"sql(
  UPDATE users SET access_version = access_version + 1
  WHERE id = $1 AND deleted_at IS NULL RETURNING username
)sql";
constexpr char kListMembers[] = R"sql(
  SELECT m.organization_id, m.user_id, u.username, m.roles, m.created_at
  FROM organization_members m JOIN users u ON u.id = m.user_id
  WHERE m.organization_id = $1 AND u.deleted_at IS NULL AND lower(u.username) > lower($2)
  ORDER BY lower(u.username) LIMIT $3
)sql";
constexpr char kAddMember[] = R"sql(
  INSERT INTO organization_members (organization_id, user_id, roles)
  SELECT o.id, $2, $3 FROM organizations o WHERE o.id = $1 AND o.deleted_at IS NULL
  RETURNING organization_id, user_id, $4::text AS username, roles, created_at
)sql";
constexpr char kSetMemberRoles[] = R"sql(
  UPDATE organization_members SET roles = $3, updated_at = now()
  WHERE organization_id = $1 AND user_id = $2
  RETURNING organization_id, user_id, $4::text AS username, roles, created_at
)sql";
constexpr char kMemberHasWorkspaces[] = R"sql(
  SELECT 1 FROM workspaces
  WHERE organization_id = $1 AND owner_id = $2 AND deleted_at IS NULL LIMIT 1
)sql";
constexpr char kRemoveMember[] =
    "DELETE FROM organization_members WHERE organization_id = $1 AND user_id = $2";

OrganizationRecord Read(const pg::Result::Row& row) {
  return {.id = ReadId<OrganizationId>(row, "id"),
          .name = row.Get<std::string>("name"),
          .display_name = row.Get<std::string>("display_name"),
          .description = row.Get<std::string>("description"),
          .is_default = row.Get<bool>("is_default"),
          .created_at = row.Get<absl::Time>("created_at"),
          .updated_at = row.Get<absl::Time>("updated_at"),
          .revision = row.Get<int64_t>("revision")};
}

MemberRecord ReadMember(const pg::Result::Row& row) {
  return {.organization_id = ReadId<OrganizationId>(row, "organization_id"),
          .user_id = ReadId<UserId>(row, "user_id"),
          .username = row.Get<std::string>("username"),
          .roles = ReadOrganizationRoles(row, "roles"),
          .created_at = row.Get<absl::Time>("created_at")};
}

absl::Status Absent() {
  return absl::NotFoundError("find organization: no such organization exists");
}

absl::Status NoMember() {
  return absl::NotFoundError("find member: the user is no member of the organization");
}

absl::Status Refused(absl::string_view reason, absl::string_view sentence) {
  return status::WithReason(absl::FailedPreconditionError(sentence), reason);
}

absl::Status TranslateNameConflict(const absl::Status& error, const std::string& name) {
  if (pg::ConstraintName(error) != "organizations_name_key") return error;
  return status::WithFieldViolation(
      absl::AlreadyExistsError(
          absl::StrCat("store organization: the name '", name, "' is in use; choose another")),
      "name", "is in use");
}

absl::StatusOr<OrganizationRecord> ReadOne(const absl::StatusOr<pg::Result>& rows) {
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return Absent();
  return Read((*rows)[0]);
}

// Locks the user's row first, which orders changes of one user's memberships. Its username.
absl::StatusOr<std::string> TouchUser(pg::Transaction& tx, const UserId& user) {
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(kTouchUser, {user.ToString()}));
  if (rows.empty()) return NoMember();
  return rows.Get<std::string>(0, 0);
}

absl::StatusOr<OrganizationRecord> CreateIn(pg::Transaction& tx, const NewOrganization& made,
                                            const std::optional<RequestKey>& request) {
  if (request) {
    ASSIGN_OR_RETURN(const std::optional<std::string> answered, FindResponse(tx, *request));
    if (answered) return ReadOne(tx.Execute(kFindEvenDeleted, {*answered}));
  }
  ASSIGN_OR_RETURN(const std::string creator, TouchUser(tx, made.creator));
  const std::string id = made.id.ToString();
  const auto inserted = tx.Execute(kInsert, {id, made.name, made.display_name, made.description});
  if (!inserted.ok()) return TranslateNameConflict(inserted.status(), made.name);
  const std::vector<std::string> admin = auth::ToWords({auth::OrganizationRole::kAdmin});
  RETURN_IF_ERROR(tx.Execute(kAddMember, {id, made.creator.ToString(), admin, creator}).status());
  if (request) RETURN_IF_ERROR(StoreResponse(tx, *request, id));
  return Read((*inserted)[0]);
}

absl::Status DeleteIn(pg::Transaction& tx, const OrganizationId& id) {
  const std::string text = id.ToString();
  ASSIGN_OR_RETURN(const OrganizationRecord found, ReadOne(tx.Execute(kLock, {text})));
  if (found.is_default) {
    return Refused("DEFAULT_ORGANIZATION",
                   "delete organization: it is the default one, which new users join; keep it");
  }
  ASSIGN_OR_RETURN(const pg::Result in_use, tx.Execute(kIsInUse, {text}));
  if (in_use.Get<bool>(0, 0)) {
    return Refused("ORGANIZATION_NOT_EMPTY",
                   "delete organization: it has templates or workspaces; delete those first");
  }
  pg::Pipeline pipeline;
  pipeline.Add(kTouchMembers, {text})
      .Add(kDeleteMembers, {text})
      .Add(kRevokeKeys, {text})
      .Add(kDelete, {text});
  return tx.Execute(pipeline).status();
}

}  // namespace

absl::StatusOr<OrganizationRecord> PgOrganizationStore::Create(
    const NewOrganization& organization, const std::optional<RequestKey>& request,
    clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    return CreateIn(tx, organization, request);
  });
}

absl::StatusOr<OrganizationRecord> PgOrganizationStore::Find(const OrganizationId& id,
                                                             clock::Deadline deadline) {
  return ReadOne(pool_.Execute(kFind, {id.ToString()}, deadline));
}

absl::StatusOr<OrganizationRecord> PgOrganizationStore::FindByName(const std::string& name,
                                                                   clock::Deadline deadline) {
  return ReadOne(pool_.Execute(kFindByName, {name}, deadline));
}

absl::StatusOr<OrganizationRecord> PgOrganizationStore::FindDefault(clock::Deadline deadline) {
  return ReadOne(pool_.Execute(kFindDefault, {}, deadline));
}

absl::StatusOr<std::vector<OrganizationRecord>> PgOrganizationStore::List(
    const auth::Scope& scope, const std::string& after_name, int limit, clock::Deadline deadline) {
  std::vector<std::string> ids;
  for (const OrganizationId& id : scope.organizations) ids.push_back(id.ToString());
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kList, {after_name, scope.everything, ids, limit}, deadline));
  std::vector<OrganizationRecord> organizations;
  for (const pg::Result::Row& row : rows) organizations.push_back(Read(row));
  return organizations;
}

absl::StatusOr<OrganizationRecord> PgOrganizationStore::Update(
    const OrganizationId& id, const OrganizationChange& change,
    std::optional<int64_t> expected_revision, clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline},
      [&](pg::Transaction& tx) -> absl::StatusOr<OrganizationRecord> {
        ASSIGN_OR_RETURN(const OrganizationRecord found,
                         ReadOne(tx.Execute(kLock, {id.ToString()})));
        if (expected_revision && found.revision != *expected_revision) {
          return status::WithReason(absl::AbortedError("change organization: it was changed "
                                                       "meanwhile; read it again and repeat"),
                                    "ETAG_MISMATCH");
        }
        auto updated = tx.Execute(
            kUpdate, {id.ToString(), change.name, change.display_name, change.description});
        if (!updated.ok()) {
          return TranslateNameConflict(updated.status(), change.name.value_or(""));
        }
        return Read((*updated)[0]);
      });
}

absl::Status PgOrganizationStore::Delete(const OrganizationId& id, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return DeleteIn(tx, id); });
}

absl::StatusOr<std::vector<MemberRecord>> PgOrganizationStore::ListMembers(
    const OrganizationId& id, const std::string& after_username, int limit,
    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kListMembers, {id.ToString(), after_username, limit}, deadline));
  std::vector<MemberRecord> members;
  for (const pg::Result::Row& row : rows) members.push_back(ReadMember(row));
  return members;
}

absl::StatusOr<MemberRecord> PgOrganizationStore::AddMember(const OrganizationId& id,
                                                            const UserId& user,
                                                            auth::OrganizationRoles roles,
                                                            clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<MemberRecord> {
        ASSIGN_OR_RETURN(const std::string username, TouchUser(tx, user));
        auto added = tx.Execute(kAddMember,
                                {id.ToString(), user.ToString(), auth::ToWords(roles), username});
        if (pg::ConstraintName(added.status()) == "organization_members_pkey") {
          return absl::AlreadyExistsError(
              absl::StrCat("add member '", username, "': it is a member already"));
        }
        if (!added.ok()) return added.status();
        if (added->empty()) return Absent();
        return ReadMember((*added)[0]);
      });
}

absl::StatusOr<MemberRecord> PgOrganizationStore::SetMemberRoles(const OrganizationId& id,
                                                                 const UserId& user,
                                                                 auth::OrganizationRoles roles,
                                                                 clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<MemberRecord> {
        ASSIGN_OR_RETURN(const std::string username, TouchUser(tx, user));
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(kSetMemberRoles, {id.ToString(), user.ToString(),
                                                      auth::ToWords(roles), username}));
        if (rows.empty()) return NoMember();
        return ReadMember(rows[0]);
      });
}

absl::Status PgOrganizationStore::RemoveMember(const OrganizationId& id, const UserId& user,
                                               clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::Status {
        const std::vector<pg::Param> key = {id.ToString(), user.ToString()};
        RETURN_IF_ERROR(TouchUser(tx, user).status());
        ASSIGN_OR_RETURN(const pg::Result workspaces, tx.Execute(kMemberHasWorkspaces, key));
        if (!workspaces.empty()) {
          return Refused("MEMBER_HAS_WORKSPACES",
                         "remove member: the user owns workspaces there; delete those first");
        }
        ASSIGN_OR_RETURN(const pg::Result removed, tx.Execute(kRemoveMember, key));
        return removed.affected() == 0 ? NoMember() : absl::OkStatus();
      });
}

}  // namespace coder::storage
