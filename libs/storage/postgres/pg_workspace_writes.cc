// The changing half of PgWorkspaceStore; the reading half is in pg_workspace_store.cc.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/names.h"
#include "libs/lifecycle/new_build.h"
#include "libs/pg/sqlstate.h"
#include "libs/schedule/spread.h"
#include "libs/schedule/ttl.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/insert_build.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/new_build_context.h"
#include "libs/storage/postgres/pg_workspace_store.h"
#include "libs/storage/postgres/workspace_terms.h"

namespace coder::storage {
namespace {

using lifecycle::WorkspaceId;

constexpr char kOwnerMember[] = R"sql(
SELECT 1 FROM organization_members m JOIN users u ON u.id = m.user_id
WHERE m.organization_id = $1 AND m.user_id = $2 AND u.status <> 'suspended'
  AND u.deleted_at IS NULL)sql";

constexpr char kTermsOfTemplate[] = R"sql(
SELECT allow_user_autostart, allow_user_autostop, autostart_allowed_days, autostart_spread,
  default_ttl, now() AS now
FROM templates WHERE id = $1)sql";

constexpr char kInsert[] = R"sql(
INSERT INTO workspaces (id, owner_id, organization_id, template_id, name, autostart_schedule, ttl,
  automatic_updates, next_start_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9))sql";

constexpr char kLock[] = "SELECT 1 FROM workspaces WHERE id = $1 FOR UPDATE";

constexpr char kLocked[] = R"sql(
SELECT w.revision, w.name, w.dormant_at IS NOT NULL AS dormant,
  coalesce(w.autostart_schedule, '') AS autostart_schedule, t.allow_user_autostart,
  t.allow_user_autostop, t.autostart_allowed_days, t.autostart_spread, now() AS now
FROM workspaces w JOIN templates t ON t.id = w.template_id
WHERE w.id = $1 AND w.deleted_at IS NULL)sql";

constexpr char kUpdate[] = R"sql(
UPDATE workspaces SET revision = revision + 1, updated_at = now(),
  name = coalesce($2::text, name),
  autostart_set_at = CASE WHEN $3::boolean AND autostart_schedule IS DISTINCT FROM $4 THEN now()
    ELSE autostart_set_at END,
  autostart_skip_until = CASE WHEN $3::boolean AND autostart_schedule IS DISTINCT FROM $4 THEN NULL
    ELSE autostart_skip_until END,
  autostart_schedule = CASE WHEN $3::boolean THEN $4 ELSE autostart_schedule END,
  next_start_at = CASE WHEN $3::boolean THEN
    CASE WHEN dormant_at IS NULL THEN $5::timestamptz END ELSE next_start_at END,
  ttl = CASE WHEN $6::boolean THEN $7::interval ELSE ttl END,
  automatic_updates = coalesce($8::text, automatic_updates)
WHERE id = $1)sql";

// Without a TTL only the template's own limit stops what runs.
constexpr char kLiftDeadline[] = R"sql(
UPDATE workspace_builds b SET deadline = b.max_deadline, updated_at = now()
FROM workspaces w
WHERE w.id = $1 AND b.id = w.latest_build_id AND b.transition = 'start'
  AND b.deadline IS NOT NULL)sql";

constexpr char kExtend[] =
    "UPDATE workspace_builds SET deadline = $2, updated_at = now() WHERE id = $1";

constexpr char kSleep[] = R"sql(
UPDATE workspaces w SET dormant_at = now(), deleting_at = now() + t.time_til_dormant_autodelete,
  next_start_at = NULL, revision = w.revision + 1, updated_at = now()
FROM templates t WHERE t.id = w.template_id AND w.id = $1)sql";

constexpr char kWake[] = R"sql(
UPDATE workspaces SET dormant_at = NULL, deleting_at = NULL, last_used_at = now(),
  next_start_at = $2, revision = revision + 1, updated_at = now()
WHERE id = $1)sql";

ScheduleTerms TermsOf(const pg::Result::Row& row, const WorkspaceId& id) {
  return {.allow_user_autostart = row.Get<bool>("allow_user_autostart"),
          .allow_user_autostop = row.Get<bool>("allow_user_autostop"),
          .autostart_allowed_days =
              static_cast<schedule::DaysOfWeek>(row.Get<int32_t>("autostart_allowed_days")),
          .autostart_offset =
              schedule::SpreadOffset(id.ToString(), row.Get<absl::Duration>("autostart_spread"))};
}

absl::Status NamedStatus(const absl::Status& status, absl::string_view name) {
  return pg::ConstraintName(status) == "workspaces_owner_name_key" ? NameTaken(name) : status;
}

absl::Status NotMember() {
  constexpr absl::string_view kWhy =
      "is no active member of the template's organization; add the user to it first";
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("create workspace: the owner ", kWhy)), "owner",
      kWhy);
}

// Locks a living workspace and reads what changes are judged by.
absl::StatusOr<pg::Result> Lock(pg::Transaction& tx, const WorkspaceId& id) {
  ASSIGN_OR_RETURN(
      std::vector<pg::Result> rows,
      tx.Execute(pg::Pipeline().Add(kLock, {id.ToString()}).Add(kLocked, {id.ToString()})));
  if (rows[1].empty()) {
    return absl::NotFoundError(absl::StrCat("change workspace ", id.ToString(), ": there is none"));
  }
  return std::move(rows[1]);
}

absl::Status CheckRevision(const WorkspaceChange& change, int64_t revision) {
  if (!change.expected_revision || *change.expected_revision == revision) return absl::OkStatus();
  return status::WithReason(
      absl::AbortedError("update workspace: it was changed since it was read; read it again and "
                         "repeat the change"),
      "ETAG_MISMATCH");
}

absl::Status Apply(pg::Transaction& tx, const WorkspaceId& id, const WorkspaceChange& change,
                   const pg::Result::Row& locked) {
  RETURN_IF_ERROR(CheckRevision(change, locked.Get<int64_t>("revision")));
  if (change.name) RETURN_IF_ERROR(lifecycle::CheckName("name", *change.name));
  const ScheduleTerms terms = TermsOf(locked, id);
  ASSIGN_OR_RETURN(
      const AutostartColumns autostart,
      CheckAutostart(change.autostart_schedule.value_or(""), terms, locked.Get<absl::Time>("now")));
  ASSIGN_OR_RETURN(const std::optional<absl::Duration> ttl, CheckWorkspaceTtl(change.ttl, terms));
  std::optional<std::string> updates;
  if (change.automatic_updates) {
    updates = std::string(lifecycle::ToString(*change.automatic_updates));
  }
  pg::Pipeline writes;
  writes.Add(kUpdate, {id.ToString(), change.name, change.autostart_schedule.has_value(),
                       autostart.schedule, autostart.next_start_at, change.set_ttl, ttl, updates});
  if (change.set_ttl && !ttl) writes.Add(kLiftDeadline, {id.ToString()});
  return NamedStatus(tx.Execute(writes).status(), change.name.value_or(""));
}

}  // namespace

absl::StatusOr<WorkspaceId> PgWorkspaceStore::Insert(pg::Transaction& tx,
                                                     const NewWorkspace& workspace) {
  lifecycle::BuildRequest request{.parameters = workspace.parameters};
  if (workspace.version_given) request.version_id = workspace.from.version;
  ASSIGN_OR_RETURN(lifecycle::NewBuildContext context,
                   LockForFirstBuild(tx, workspace.from.id, workspace.from.version,
                                     workspace.automatic_updates, std::move(request)));
  context.may_update_template = workspace.may_update_template;
  ASSIGN_OR_RETURN(const std::vector<pg::Result> rows,
                   tx.Execute(pg::Pipeline()
                                  .Add(kOwnerMember, {workspace.from.organization.ToString(),
                                                      workspace.owner.ToString()})
                                  .Add(kTermsOfTemplate, {workspace.from.id.ToString()})));
  if (rows[0].empty()) return NotMember();
  const WorkspaceId id(ids_.Next());
  const ScheduleTerms terms = TermsOf(rows[1][0], id);
  ASSIGN_OR_RETURN(
      const AutostartColumns autostart,
      CheckAutostart(workspace.autostart_schedule, terms, rows[1].Get<absl::Time>(0, "now")));
  std::optional<absl::Duration> asked = workspace.ttl;
  // Where users may not choose, the template's default holds as it is at each start.
  if (!asked && terms.allow_user_autostop) {
    asked = rows[1].Get<std::optional<absl::Duration>>(0, "default_ttl");
  }
  ASSIGN_OR_RETURN(const std::optional<absl::Duration> ttl, CheckWorkspaceTtl(asked, terms));
  ASSIGN_OR_RETURN(lifecycle::NewBuildPlan plan, lifecycle::CheckNewBuild(context));

  RETURN_IF_ERROR(NamedStatus(
      tx.Execute(kInsert,
                 {id.ToString(), workspace.owner.ToString(), workspace.from.organization.ToString(),
                  workspace.from.id.ToString(), workspace.name, autostart.schedule, ttl,
                  lifecycle::ToString(workspace.automatic_updates), autostart.next_start_at})
          .status(),
      workspace.name));
  RETURN_IF_ERROR(InsertBuild(tx, {.id = lifecycle::BuildId(ids_.Next()),
                                   .job = lifecycle::JobId(ids_.Next()),
                                   .workspace = id,
                                   .version = context.version.id,
                                   .initiator = workspace.initiator,
                                   .plan = std::move(plan)}));
  return id;
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::Create(const NewWorkspace& workspace,
                                                         clock::Deadline deadline) {
  RETURN_IF_ERROR(lifecycle::CheckName("name", workspace.name));
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<WorkspaceRecord> {
        if (workspace.request) {
          ASSIGN_OR_RETURN(const std::optional<std::string> answer,
                           FindResponse(tx, *workspace.request));
          if (answer) return ReadWorkspace(tx, IdFromColumn<WorkspaceId>(*answer));
        }
        ASSIGN_OR_RETURN(const WorkspaceId id, Insert(tx, workspace));
        if (workspace.request) {
          RETURN_IF_ERROR(StoreResponse(tx, *workspace.request, id.ToString()));
        }
        return ReadWorkspace(tx, id);
      });
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::Update(const WorkspaceId& id,
                                                         const WorkspaceChange& change,
                                                         clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) -> absl::StatusOr<WorkspaceRecord> {
                                ASSIGN_OR_RETURN(const pg::Result locked, Lock(tx, id));
                                RETURN_IF_ERROR(Apply(tx, id, change, locked[0]));
                                return ReadWorkspace(tx, id);
                              });
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::Extend(const WorkspaceId& id,
                                                         absl::Time deadline_at,
                                                         clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<WorkspaceRecord> {
        ASSIGN_OR_RETURN(const pg::Result locked, Lock(tx, id));
        ASSIGN_OR_RETURN(const WorkspaceRecord workspace, ReadWorkspace(tx, id));
        const BuildRecord& build = workspace.latest_build;
        RETURN_IF_ERROR(schedule::CheckExtension({.requested = deadline_at,
                                                  .now = locked.Get<absl::Time>(0, "now"),
                                                  .transition = build.transition,
                                                  .job_status = build.job.status,
                                                  .deadline = build.deadline,
                                                  .max_deadline = build.max_deadline}));
        RETURN_IF_ERROR(tx.Execute(kExtend, {build.id.ToString(), deadline_at}).status());
        return ReadWorkspace(tx, id);
      });
}

absl::StatusOr<WorkspaceRecord> PgWorkspaceStore::SetDormant(const WorkspaceId& id, bool dormant,
                                                             clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<WorkspaceRecord> {
        ASSIGN_OR_RETURN(const pg::Result locked, Lock(tx, id));
        if (locked.Get<bool>(0, "dormant") == dormant) return ReadWorkspace(tx, id);
        if (dormant) {
          RETURN_IF_ERROR(tx.Execute(kSleep, {id.ToString()}).status());
          return ReadWorkspace(tx, id);
        }
        // A schedule that no longer fits its template is the scheduler's to report.
        std::optional<absl::Time> next;
        if (const auto autostart =
                CheckAutostart(locked.Get<std::string>(0, "autostart_schedule"),
                               TermsOf(locked[0], id), locked.Get<absl::Time>(0, "now"));
            autostart.ok()) {
          next = autostart->next_start_at;
        }
        RETURN_IF_ERROR(tx.Execute(kWake, {id.ToString(), next}).status());
        return ReadWorkspace(tx, id);
      });
}

}  // namespace coder::storage
