#include <utility>

#include "libs/lifecycle/types.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_job_store.h"

namespace coder::storage {
namespace {

using lifecycle::JobId;
using lifecycle::ProvisionerDaemonId;

constexpr char kRecordDaemon[] = R"sql(
  INSERT INTO provisioner_daemons (id, organization_id, key_id, name, version, provisioners, tags, slots)
  SELECT gen_random_uuid(), $1, k.id, $3, $4, $5::text[], $6::jsonb, $7
  FROM provisioner_keys k WHERE k.id = $2 AND k.organization_id = $1 AND k.revoked_at IS NULL
  ON CONFLICT (organization_id, key_id, name) DO UPDATE SET
    version = excluded.version, provisioners = excluded.provisioners, tags = excluded.tags,
    slots = excluded.slots, last_seen_at = now()
  RETURNING id)sql";

constexpr char kTouchDaemons[] = R"sql(
  WITH touched AS (
    UPDATE provisioner_daemons SET last_seen_at = now()
    WHERE id = ANY($1::uuid[]) AND last_seen_at < now() - interval '10 seconds'
  )
  SELECT d.id FROM provisioner_daemons d JOIN provisioner_keys k ON k.id = d.key_id
  WHERE d.id = ANY($1::uuid[]) AND k.revoked_at IS NOT NULL)sql";

// Walks the queue in its order and stops at the first job whose workspace and row are both free;
// what lies behind it is not locked. OFFSET 0 keeps the walk from being merged with the locking.
constexpr char kAcquire[] = R"sql(
  WITH picked AS (
    SELECT free.id
    FROM (
      SELECT j.id, j.type FROM provisioner_jobs j
      WHERE j.organization_id = $2 AND j.started_at IS NULL AND j.completed_at IS NULL
        AND j.provisioner = ANY($3::text[]) AND provisioner_tags_match($4::jsonb, j.tags)
        AND EXISTS (SELECT FROM provisioner_daemons d JOIN provisioner_keys k ON k.id = d.key_id
                    WHERE d.id = $1 AND k.revoked_at IS NULL)
      ORDER BY j.queue_at, j.id
      OFFSET 0
    ) waiting
    LEFT JOIN LATERAL (
      SELECT w.id FROM workspace_builds b JOIN workspaces w ON w.id = b.workspace_id
      WHERE b.job_id = waiting.id
      FOR UPDATE OF w SKIP LOCKED
    ) workspace ON true
    CROSS JOIN LATERAL (
      SELECT j.id FROM provisioner_jobs j
      WHERE j.id = waiting.id AND j.started_at IS NULL AND j.completed_at IS NULL
        AND (waiting.type <> 'workspace_build' OR workspace.id IS NOT NULL)
      FOR UPDATE SKIP LOCKED
    ) free
    LIMIT 1
  )
  UPDATE provisioner_jobs j
  SET started_at = clock_timestamp(), updated_at = clock_timestamp(), worker_id = $1,
      lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + $5::interval
  FROM picked WHERE j.id = picked.id
  RETURNING j.id, j.type, j.lease_token, j.organization_id, j.provisioner, j.created_at, j.started_at,
    (SELECT encode(f.sha256, 'hex') FROM files f WHERE f.id = j.file_id) AS source_sha256)sql";

constexpr char kImportWork[] = R"sql(
  SELECT v.id, v.name, coalesce(t.name, '') AS template_name
  FROM template_versions v LEFT JOIN templates t ON t.id = v.template_id
  WHERE v.job_id = $1)sql";

constexpr char kBuildWork[] = R"sql(
  SELECT b.id, b.build_number, b.transition, b.reason, b.log_level = 'debug' AS debug,
    w.id AS workspace_id, w.name AS workspace_name,
    u.id AS owner_id, u.username, u.name AS owner_name, u.email, u.site_roles,
    t.id AS template_id, t.name AS template_name, v.id AS version_id, v.name AS version_name,
    t.autostart_spread, (SELECT o.nominal_at FROM lifecycle_outcomes o
     WHERE o.build_id = b.id AND o.attempt = 1 LIMIT 1) AS nominal_at
  FROM workspace_builds b
  JOIN workspaces w ON w.id = b.workspace_id
  JOIN users u ON u.id = w.owner_id
  JOIN templates t ON t.id = w.template_id
  JOIN template_versions v ON v.id = b.template_version_id
  WHERE b.job_id = $1)sql";

constexpr char kVariables[] = R"sql(
  SELECT v.name, v.sealed_value, v.sensitive FROM template_version_variables v
  WHERE v.template_version_id = $1 AND v.sealed_value IS NOT NULL ORDER BY v.name)sql";

constexpr char kParameters[] = R"sql(
  SELECT name, value FROM workspace_build_parameters WHERE build_id = $1 ORDER BY name)sql";

constexpr char kPreviousParameters[] = R"sql(
  SELECT p.name, p.value
  FROM workspace_build_parameters p JOIN workspace_builds b ON b.id = p.build_id
  WHERE b.workspace_id = $1 AND b.build_number = $2 - 1 ORDER BY p.name)sql";

std::vector<NamedValue> NamedValuesOf(const pg::Result& rows) {
  std::vector<NamedValue> values;
  for (const auto row : rows) {
    values.push_back({row.Get<std::string>("name"), row.Get<std::string>("value")});
  }
  return values;
}

std::vector<SealedVariable> VariablesOf(const pg::Result& rows) {
  std::vector<SealedVariable> variables;
  for (const auto row : rows) {
    variables.push_back({row.Get<std::string>("name"), row.Get<pg::Bytea>("sealed_value").bytes,
                         row.Get<bool>("sensitive")});
  }
  return variables;
}

absl::Status ReadImportWork(pg::Transaction& transaction, AcquiredJob& job) {
  ASSIGN_OR_RETURN(const pg::Result rows, transaction.Execute(kImportWork, {job.id.ToString()}));
  if (rows.empty()) return absl::InternalError("acquire job: import without a template version");
  const auto row = rows[0];
  ImportWork work{IdFromColumn<lifecycle::TemplateVersionId>(row.Get<std::string>("id")),
                  row.Get<std::string>("name"), row.Get<std::string>("template_name")};
  ASSIGN_OR_RETURN(const pg::Result variables,
                   transaction.Execute(kVariables, {work.version.ToString()}));
  job.variables = VariablesOf(variables);
  job.work = std::move(work);
  return absl::OkStatus();
}

BuildWork BuildWorkOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  BuildWork work;
  work.build = IdFromColumn<lifecycle::BuildId>(text("id"));
  work.build_number = row.Get<int32_t>("build_number");
  work.transition = WordFromColumn(lifecycle::ParseBuildTransition, text("transition"));
  work.reason = WordFromColumn(lifecycle::ParseBuildReason, text("reason"));
  work.workspace = IdFromColumn<lifecycle::WorkspaceId>(text("workspace_id"));
  work.workspace_name = text("workspace_name");
  work.owner = IdFromColumn<lifecycle::UserId>(text("owner_id"));
  work.owner_username = text("username");
  work.owner_name = text("owner_name");
  work.owner_email = text("email");
  work.owner_roles = row.Get<std::vector<std::string>>("site_roles");
  work.template_id = IdFromColumn<lifecycle::TemplateId>(text("template_id"));
  work.template_name = text("template_name");
  work.version = IdFromColumn<lifecycle::TemplateVersionId>(text("version_id"));
  work.version_name = text("version_name");
  work.debug = row.Get<bool>("debug");
  work.due_at = DueAt(row, work.workspace);
  return work;
}

absl::Status ReadBuildWork(pg::Transaction& transaction, AcquiredJob& job) {
  ASSIGN_OR_RETURN(const pg::Result rows, transaction.Execute(kBuildWork, {job.id.ToString()}));
  if (rows.empty()) return absl::InternalError("acquire job: build job without a build");
  BuildWork work = BuildWorkOf(rows[0]);
  pg::Pipeline values;
  values.Add(kVariables, {work.version.ToString()});
  values.Add(kParameters, {work.build.ToString()});
  values.Add(kPreviousParameters, {work.workspace.ToString(), work.build_number});
  ASSIGN_OR_RETURN(const std::vector<pg::Result> found, transaction.Execute(values));
  job.variables = VariablesOf(found[0]);
  work.parameters = NamedValuesOf(found[1]);
  work.previous_parameters = NamedValuesOf(found[2]);
  const lifecycle::BuildId build = work.build;
  job.work = std::move(work);
  return WriteBuildEvent(transaction, build, BuildEventKind::kStatusChanged);
}

absl::StatusOr<std::optional<AcquiredJob>> Acquire(pg::Transaction& transaction,
                                                   const AcquireTerms& terms) {
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      transaction.Execute(kAcquire, {terms.daemon.ToString(), terms.organization.ToString(),
                                     terms.provisioners, TagsToJson(terms.tags), terms.lease}));
  if (rows.empty()) return std::nullopt;
  const auto row = rows[0];
  AcquiredJob job;
  job.id = IdFromColumn<JobId>(row.Get<std::string>("id"));
  job.token = IdFromColumn<lifecycle::LeaseToken>(row.Get<std::string>("lease_token"));
  job.organization = terms.organization;
  job.provisioner = row.Get<std::string>("provisioner");
  job.created_at = row.Get<absl::Time>("created_at");
  job.started_at = row.Get<absl::Time>("started_at");
  job.source_sha256 = row.Get<std::string>("source_sha256");
  const bool is_build = row.Get<std::string>("type") == "workspace_build";
  RETURN_IF_ERROR(is_build ? ReadBuildWork(transaction, job) : ReadImportWork(transaction, job));
  return job;
}

}  // namespace

absl::StatusOr<ProvisionerDaemonId> PgJobStore::RecordDaemon(const DaemonHello& hello,
                                                             clock::Deadline deadline) {
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      pool_.Execute(kRecordDaemon,
                    {hello.organization.ToString(), hello.key.ToString(), hello.name, hello.version,
                     hello.provisioners, TagsToJson(hello.tags), hello.slots},
                    deadline));
  if (rows.empty()) {
    return absl::PermissionDeniedError(
        "record daemon: its provisioner key is revoked; start it with another key");
  }
  return IdFromColumn<ProvisionerDaemonId>(rows.Get<std::string>(0, "id"));
}

absl::StatusOr<std::vector<ProvisionerDaemonId>> PgJobStore::TouchDaemons(
    const std::vector<ProvisionerDaemonId>& daemons, clock::Deadline deadline) {
  std::vector<std::string> ids;
  for (const ProvisionerDaemonId& daemon : daemons) ids.push_back(daemon.ToString());
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kTouchDaemons, {ids}, deadline));
  std::vector<ProvisionerDaemonId> revoked;
  for (const auto row : rows) {
    revoked.push_back(IdFromColumn<ProvisionerDaemonId>(row.Get<std::string>("id")));
  }
  return revoked;
}

absl::StatusOr<std::optional<AcquiredJob>> PgJobStore::AcquireJob(const AcquireTerms& terms,
                                                                  clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Acquire(transaction, terms);
  });
}

}  // namespace coder::storage
