#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_template_store.h"
#include "libs/storage/postgres/template_rows.h"
#include "libs/storage/postgres/template_version_rows.h"

namespace coder::storage {
namespace {

using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;

constexpr char kOrganization[] =
    "SELECT 1 FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR SHARE";

constexpr char kInsert[] = R"sql(
  INSERT INTO templates (id, organization_id, name, display_name, description, icon, provisioner,
    active_version_id, created_by, default_ttl)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10))sql";

constexpr char kAdopt[] =
    "UPDATE template_versions SET template_id = $2, updated_at = now() WHERE id = $1";

// In the order everybody locks workspaces, and before the template as builds do.
constexpr char kLockWorkspaces[] = R"sql(
  SELECT 1 FROM workspaces WHERE template_id = $1 AND deleted_at IS NULL
  AND (autostart_schedule IS NOT NULL OR dormant_at IS NOT NULL) ORDER BY id FOR UPDATE)sql";

constexpr char kForgetNextStarts[] = R"sql(
  UPDATE workspaces SET next_start_at = NULL
  WHERE template_id = $1 AND deleted_at IS NULL AND autostart_schedule IS NOT NULL)sql";

constexpr char kMoveDeletions[] = R"sql(
  UPDATE workspaces SET deleting_at = dormant_at + $2::interval, updated_at = now(),
    revision = revision + 1
  WHERE template_id = $1 AND deleted_at IS NULL AND dormant_at IS NOT NULL)sql";

constexpr char kUpdate[] = R"sql(
  UPDATE templates SET name = $3, display_name = $4, description = $5, icon = $6, default_ttl = $7,
    activity_bump = $8, allow_user_autostart = $9, allow_user_autostop = $10,
    allow_user_cancel_workspace_jobs = $11, require_active_version = $12,
    autostart_allowed_days = $13, failure_ttl = $14, time_til_dormant = $15,
    time_til_dormant_autodelete = $16, autostart_catch_up = $17, deprecation_message = $18,
    autostop_requirement_days = $19, autostop_requirement_weeks = $20, autostart_spread = $21,
    autostart_max_attempts = $22, autostart_retry_delay = $23, autostop_reminder = $24,
    revision = revision + 1, updated_at = now()
  WHERE id = $1 AND revision = $2 AND deleted_at IS NULL)sql";

constexpr char kLock[] = "SELECT 1 FROM templates WHERE id = $1 AND deleted_at IS NULL FOR UPDATE";

constexpr char kPromote[] = R"sql(
  UPDATE templates SET active_version_id = $2, revision = revision + 1, updated_at = now()
  WHERE id = $1 AND active_version_id <> $2)sql";

constexpr char kWorkspaces[] =
    "SELECT count(*) FROM workspaces WHERE template_id = $1 AND deleted_at IS NULL";

constexpr char kDelete[] =
    "UPDATE templates SET deleted_at = now(), updated_at = now(), revision = revision + 1 "
    "WHERE id = $1";

absl::Status ExplainName(const absl::Status& failure, absl::string_view attempt,
                         absl::string_view name) {
  if (pg::ConstraintName(failure) != "templates_name_key") return failure;
  return status::WithReason(absl::AlreadyExistsError(absl::StrCat(
                                attempt, ": another template of the organization is named \"", name,
                                "\"; choose "
                                "another name")),
                            "TEMPLATE_NAME_TAKEN");
}

absl::Status CheckVersion(const LockedVersion& version, const NewTemplate& made) {
  if (version.organization != made.organization) {
    return auth::NotFound(absl::StrCat("template version ", made.version.ToString()));
  }
  const std::string attempt = absl::StrCat("create template \"", made.name, "\"");
  if (version.template_id) {
    return status::WithReason(
        absl::FailedPreconditionError(
            absl::StrCat(attempt, ": version ", made.version.ToString(), " belongs to template ",
                         version.template_id->ToString(), "; make a version without a template")),
        "VERSION_TAKEN");
  }
  return CheckBuildable(version, attempt);
}

absl::StatusOr<TemplateRecord> CreateIn(pg::Transaction& tx, const NewTemplate& made) {
  const std::string organization = made.organization.ToString();
  ASSIGN_OR_RETURN(const pg::Result organizations, tx.Execute(kOrganization, {organization}));
  if (organizations.empty()) return auth::NotFound(absl::StrCat("organization ", organization));
  ASSIGN_OR_RETURN(const LockedVersion version, LockVersion(tx, made.version));
  RETURN_IF_ERROR(CheckVersion(version, made));
  const std::string id = made.id.ToString();
  RETURN_IF_ERROR(ExplainName(
      tx.Execute(kInsert, {id, organization, made.name, made.display_name, made.description,
                           made.icon, version.provisioner, made.version.ToString(),
                           made.creator.ToString(), made.default_ttl})
          .status(),
      "create template", made.name));
  RETURN_IF_ERROR(tx.Execute(kAdopt, {made.version.ToString(), id}).status());
  return ReadTemplate(tx, made.id);
}

bool ChangesStarts(const lifecycle::WorkspacePolicy& before,
                   const lifecycle::WorkspacePolicy& after) {
  return before.autostart_allowed_days != after.autostart_allowed_days ||
         before.autostart_spread != after.autostart_spread ||
         before.allow_user_autostart != after.allow_user_autostart;
}

absl::Status CarryOver(pg::Transaction& tx, TemplateId id, const lifecycle::WorkspacePolicy& before,
                       const lifecycle::WorkspacePolicy& after) {
  const bool starts = ChangesStarts(before, after);
  const bool deletions = before.time_til_dormant_autodelete != after.time_til_dormant_autodelete;
  if (!starts && !deletions) return absl::OkStatus();
  pg::Pipeline statements;
  statements.Add(kLockWorkspaces, {id.ToString()});
  if (starts) statements.Add(kForgetNextStarts, {id.ToString()});
  if (deletions) {
    statements.Add(kMoveDeletions, {id.ToString(), after.time_til_dormant_autodelete});
  }
  return tx.Execute(statements).status();
}

absl::Status EtagMismatch(TemplateId id) {
  return status::WithReason(
      absl::AbortedError(absl::StrCat("update template ", id.ToString(),
                                      ": it was changed meanwhile; read it and try again")),
      "ETAG_MISMATCH");
}

absl::StatusOr<TemplateRecord> UpdateIn(pg::Transaction& tx, TemplateId id, int64_t revision,
                                        const TemplateSettings& to) {
  ASSIGN_OR_RETURN(const TemplateRecord current, ReadTemplate(tx, id));
  if (current.revision != revision) return EtagMismatch(id);
  const lifecycle::WorkspacePolicy& policy = to.policy;
  RETURN_IF_ERROR(CarryOver(tx, id, current.settings.policy, policy));
  const absl::StatusOr<pg::Result> updated =
      tx.Execute(kUpdate, {id.ToString(),
                           revision,
                           to.name,
                           to.display_name,
                           to.description,
                           to.icon,
                           policy.default_ttl,
                           policy.activity_bump,
                           policy.allow_user_autostart,
                           policy.allow_user_autostop,
                           policy.allow_user_cancel_workspace_jobs,
                           policy.require_active_version,
                           policy.autostart_allowed_days,
                           policy.failure_ttl,
                           policy.time_til_dormant,
                           policy.time_til_dormant_autodelete,
                           policy.autostart_catch_up,
                           policy.deprecation_message,
                           policy.autostop_requirement_days,
                           policy.autostop_requirement_weeks,
                           policy.autostart_spread,
                           policy.autostart_max_attempts,
                           policy.autostart_retry_delay,
                           policy.autostop_reminder});
  RETURN_IF_ERROR(ExplainName(updated.status(), "update template", to.name));
  if (updated->affected() == 0) return EtagMismatch(id);
  return ReadTemplate(tx, id);
}

absl::Status LockTemplate(pg::Transaction& tx, TemplateId id) {
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kLock, {id.ToString()}));
  return found.empty() ? NoSuchTemplate(id) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<TemplateRecord> PgTemplateStore::Create(const NewTemplate& made,
                                                       const std::optional<RequestKey>& request,
                                                       clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<TemplateRecord> {
        if (!request) return CreateIn(tx, made);
        ASSIGN_OR_RETURN(const std::optional<std::string> earlier, FindResponse(tx, *request));
        if (earlier) return ReadTemplate(tx, IdFromColumn<TemplateId>(*earlier));
        ASSIGN_OR_RETURN(TemplateRecord record, CreateIn(tx, made));
        RETURN_IF_ERROR(StoreResponse(tx, *request, record.id.ToString()));
        return record;
      });
}

absl::StatusOr<TemplateRecord> PgTemplateStore::Update(TemplateId id, int64_t revision,
                                                       const TemplateSettings& settings,
                                                       clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    return UpdateIn(tx, id, revision, settings);
  });
}

absl::StatusOr<TemplateRecord> PgTemplateStore::Promote(TemplateId id, TemplateVersionId version,
                                                        clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<TemplateRecord> {
        RETURN_IF_ERROR(LockTemplate(tx, id));
        ASSIGN_OR_RETURN(const LockedVersion locked, LockVersion(tx, version));
        if (locked.template_id != id) {
          return auth::NotFound(absl::StrCat("template version ", version.ToString(),
                                             " of template ", id.ToString()));
        }
        RETURN_IF_ERROR(CheckBuildable(locked, "promote template version"));
        RETURN_IF_ERROR(tx.Execute(kPromote, {id.ToString(), version.ToString()}).status());
        return ReadTemplate(tx, id);
      });
}

absl::Status PgTemplateStore::Delete(TemplateId id, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    RETURN_IF_ERROR(LockTemplate(tx, id));
    ASSIGN_OR_RETURN(const pg::Result counted, tx.Execute(kWorkspaces, {id.ToString()}));
    if (const int64_t workspaces = counted.Get<int64_t>(0, 0); workspaces > 0) {
      return status::WithReason(absl::FailedPreconditionError(absl::StrCat(
                                    "delete template ", id.ToString(), ": ", workspaces,
                                    " workspaces use it; delete them first")),
                                "TEMPLATE_IN_USE", {{"workspaces", absl::StrCat(workspaces)}});
    }
    return tx.Execute(kDelete, {id.ToString()}).status();
  });
}

}  // namespace coder::storage
