#include "libs/storage/postgres/pg_workspace_store.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/workspace_rows.h"

namespace coder::storage {
namespace {

using lifecycle::OrganizationId;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;
using lifecycle::UserId;
using lifecycle::WorkspaceId;
using lifecycle::WorkspaceStatus;

constexpr char kOwnerById[] = "SELECT id, username FROM users WHERE id = $1 AND deleted_at IS NULL";
constexpr char kOwnerByName[] =
    "SELECT id, username FROM users WHERE lower(username) = lower($1) AND deleted_at IS NULL";

constexpr char kTemplate[] =
    "SELECT id, organization_id, active_version_id AS version_id FROM templates "
    "WHERE id = $1 AND deleted_at IS NULL";
constexpr char kTemplateOfVersion[] =
    "SELECT t.id, t.organization_id, v.id AS version_id FROM template_versions v "
    "JOIN templates t ON t.id = v.template_id WHERE v.id = $1 AND t.deleted_at IS NULL";

constexpr char kOutcomes[] = R"sql(
SELECT o.kind, o.nominal_at, o.attempt, o.outcome, o.reason, o.detail, o.build_id, o.decided_at,
  j.status AS build_status, b.build_number
FROM lifecycle_outcomes o
LEFT JOIN workspace_builds b ON b.id = o.build_id
LEFT JOIN provisioner_jobs j ON j.id = b.job_id
WHERE o.workspace_id = $1
ORDER BY o.nominal_at DESC, o.attempt DESC, o.kind LIMIT $2)sql";

const std::string& ById() {
  static const auto* const sql = new std::string(SelectWorkspaces("AND w.id = $1"));
  return *sql;
}

const std::string& ByName() {
  static const auto* const sql = new std::string(
      SelectWorkspaces("AND lower(owner.username) = lower($1) AND lower(w.name) = lower($2) "
                       "AND ($3::boolean OR w.deleted_at IS NULL) "
                       "ORDER BY w.deleted_at IS NOT NULL, w.created_at DESC LIMIT 1"));
  return *sql;
}

// The words of the status are those of DeriveWorkspaceStatus.
const std::string& Page() {
  static const auto* const sql = new std::string(SelectWorkspaces(R"sql(
AND ($1::boolean OR w.organization_id = ANY($2::uuid[])
  OR (w.owner_id = $3::uuid AND ($4::boolean OR w.organization_id = ANY($5::uuid[]))))
AND ($6::uuid IS NULL OR w.owner_id = $6)
AND ($7::uuid IS NULL OR w.template_id = $7)
AND ($8::uuid IS NULL OR w.organization_id = $8)
AND (w.deleted_at IS NULL OR 'deleted' = ANY($9::text[]))
AND (cardinality($9::text[]) = 0 OR CASE j.status
  WHEN 'running' THEN CASE b.transition WHEN 'start' THEN 'starting' WHEN 'stop' THEN 'stopping'
    ELSE 'deleting' END
  WHEN 'succeeded' THEN CASE b.transition WHEN 'start' THEN 'running' WHEN 'stop' THEN 'stopped'
    ELSE 'deleted' END
  ELSE j.status END = ANY($9::text[]))
AND lower(w.name) LIKE '%' || $10 || '%' ESCAPE '\'
AND ($11::uuid IS NULL OR w.id > $11)
ORDER BY w.id LIMIT $12)sql"));
  return *sql;
}

std::string EscapeLike(absl::string_view text) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(text),
                             {{"\\", "\\\\"}, {"%", "\\%"}, {"_", "\\_"}});
}

template <typename Id>
std::optional<std::string> TextOf(const std::optional<Id>& id) {
  return id ? std::optional(id->ToString()) : std::nullopt;
}

std::vector<std::string> TextOf(const std::vector<OrganizationId>& ids) {
  std::vector<std::string> texts;
  for (const OrganizationId& id : ids) texts.push_back(id.ToString());
  return texts;
}

}  // namespace

absl::StatusOr<WorkspaceRecord> ReadWorkspace(pg::Transaction& tx, const WorkspaceId& id) {
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(ById(), {id.ToString()}));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("get workspace ", id.ToString(), ": there is none"));
  }
  return WorkspaceOf(rows[0]);
}

absl::StatusOr<OwnerRecord> PgWorkspaceStore::FindOwner(absl::string_view id_or_username,
                                                        clock::Deadline deadline) {
  const absl::StatusOr<UserId> id = UserId::Parse(id_or_username);
  ASSIGN_OR_RETURN(const pg::Result rows,
                   id.ok() ? pool_.Execute(kOwnerById, {id->ToString()}, deadline)
                           : pool_.Execute(kOwnerByName, {id_or_username}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("find user \"", id_or_username, "\": there is none"));
  }
  return OwnerRecord{IdFromColumn<UserId>(rows.Get<std::string>(0, "id")),
                     rows.Get<std::string>(0, "username")};
}

absl::StatusOr<TemplateChoice> PgWorkspaceStore::FindTemplate(
    const std::optional<TemplateId>& template_id, const std::optional<TemplateVersionId>& version,
    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   version ? pool_.Execute(kTemplateOfVersion, {version->ToString()}, deadline)
                           : pool_.Execute(kTemplate, {TextOf(template_id)}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "find template ", version ? "of version " : "",
        version ? version->ToString() : TextOf(template_id).value_or("(none)"), ": there is none"));
  }
  return TemplateChoice{IdFromColumn<TemplateId>(rows.Get<std::string>(0, "id")),
                        IdFromColumn<OrganizationId>(rows.Get<std::string>(0, "organization_id")),
                        IdFromColumn<TemplateVersionId>(rows.Get<std::string>(0, "version_id"))};
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::Get(const WorkspaceId& id,
                                                      clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(ById(), {id.ToString()}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("get workspace ", id.ToString(), ": there is none"));
  }
  return WorkspaceOf(rows[0]);
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::GetByName(absl::string_view owner_name,
                                                            absl::string_view name,
                                                            bool include_deleted,
                                                            clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(ByName(), {owner_name, name, include_deleted}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(
        absl::StrCat("get workspace ", owner_name, "/", name, ": there is none"));
  }
  return WorkspaceOf(rows[0]);
}

absl::StatusOr<std::vector<WorkspaceRecord>> PgWorkspaceStore::List(
    const WorkspaceFilter& filter, const std::optional<WorkspaceId>& after, int limit,
    clock::Deadline deadline) {
  std::vector<std::string> statuses;
  for (const WorkspaceStatus status : filter.statuses) {
    statuses.emplace_back(lifecycle::ToString(status));
  }
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(Page(),
                                 {filter.scope.everything, TextOf(filter.scope.organizations),
                                  filter.caller.ToString(), filter.scope.own.has_value(),
                                  TextOf(filter.scope.own_in), TextOf(filter.owner),
                                  TextOf(filter.template_id), TextOf(filter.organization), statuses,
                                  EscapeLike(filter.search), TextOf(after), limit},
                                 deadline));
  std::vector<WorkspaceRecord> workspaces;
  for (const pg::Result::Row row : rows) workspaces.push_back(WorkspaceOf(row));
  return workspaces;
}

absl::StatusOr<std::vector<OutcomeRecord>> PgWorkspaceStore::ListOutcomes(
    const WorkspaceId& id, int limit, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kOutcomes, {id.ToString(), limit}, deadline));
  std::vector<OutcomeRecord> outcomes;
  for (const pg::Result::Row row : rows) {
    OutcomeRecord outcome{.kind = row.Get<std::string>("kind"),
                          .nominal_at = row.Get<absl::Time>("nominal_at"),
                          .attempt = row.Get<int32_t>("attempt"),
                          .outcome = row.Get<std::string>("outcome"),
                          .reason = row.Get<std::string>("reason"),
                          .detail = row.Get<std::string>("detail"),
                          .decided_at = row.Get<absl::Time>("decided_at")};
    if (const auto build = row.Get<std::optional<std::string>>("build_id")) {
      outcome.build = IdFromColumn<lifecycle::BuildId>(*build);
      outcome.build_number = row.Get<int32_t>("build_number");
      outcome.build_status =
          WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("build_status"));
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace coder::storage
