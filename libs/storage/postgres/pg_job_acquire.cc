#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
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

// For finding out what became of a commit.
constexpr absl::Duration kPatience = absl::Seconds(10);

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

// Walks the queue in its order and stops when every place has a job whose workspace and row are
// both free; what lies behind is not locked. OFFSET 0 keeps the walk from being merged with the
// locking.
constexpr char kAcquire[] = R"sql(
  WITH places AS (
    SELECT n.daemon, n.place, row_number() OVER (ORDER BY n.place) AS number
    FROM unnest($1::uuid[]) WITH ORDINALITY AS n (daemon, place)
    JOIN provisioner_daemons d ON d.id = n.daemon
    JOIN provisioner_keys k ON k.id = d.key_id AND k.revoked_at IS NULL
  ), picked AS (
    SELECT free.id
    FROM (
      SELECT j.id, j.type FROM provisioner_jobs j
      WHERE j.organization_id = $2 AND j.started_at IS NULL AND j.completed_at IS NULL
        AND j.provisioner = ANY($3::text[]) AND provisioner_tags_match($4::jsonb, j.tags)
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
    LIMIT (SELECT count(*) FROM places)
  ), given AS (
    SELECT id, row_number() OVER () AS number FROM picked
  )
  UPDATE provisioner_jobs j
  SET started_at = clock_timestamp(), updated_at = clock_timestamp(), worker_id = p.daemon,
      lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + $5::interval
  FROM given JOIN places p ON p.number = given.number WHERE j.id = given.id
  RETURNING p.place, j.id, j.type, j.lease_token, j.organization_id, j.provisioner, j.created_at,
    j.started_at, (SELECT encode(f.sha256, 'hex') FROM files f WHERE f.id = j.file_id) AS source_sha256)sql";

constexpr char kImportWork[] = R"sql(
  SELECT v.job_id, v.id, v.name, coalesce(t.name, '') AS template_name
  FROM template_versions v LEFT JOIN templates t ON t.id = v.template_id
  WHERE v.job_id = ANY($1::uuid[]))sql";

constexpr char kBuildWork[] = R"sql(
  SELECT b.job_id, b.id, b.build_number, b.transition, b.reason, b.log_level = 'debug' AS debug,
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
  WHERE b.job_id = ANY($1::uuid[]))sql";

constexpr char kVariables[] = R"sql(
  SELECT o.job_id, v.name, v.sealed_value, v.sensitive
  FROM (SELECT job_id, template_version_id AS version_id FROM workspace_builds
          WHERE job_id = ANY($1::uuid[])
        UNION ALL
        SELECT job_id, id FROM template_versions WHERE job_id = ANY($1::uuid[])) o
  JOIN template_version_variables v ON v.template_version_id = o.version_id
  WHERE v.sealed_value IS NOT NULL ORDER BY v.name)sql";

constexpr char kParameters[] = R"sql(
  SELECT b.job_id, p.name, p.value
  FROM workspace_builds b JOIN workspace_build_parameters p ON p.build_id = b.id
  WHERE b.job_id = ANY($1::uuid[]) ORDER BY p.name)sql";

constexpr char kPreviousParameters[] = R"sql(
  SELECT b.job_id, p.name, p.value
  FROM workspace_builds b
  JOIN workspace_builds before ON before.workspace_id = b.workspace_id
    AND before.build_number = b.build_number - 1
  JOIN workspace_build_parameters p ON p.build_id = before.id
  WHERE b.job_id = ANY($1::uuid[]) ORDER BY p.name)sql";

// Waits for a transaction that may still be committing.
constexpr char kLeases[] =
    "SELECT id, lease_token FROM provisioner_jobs WHERE id = ANY($1::uuid[]) FOR UPDATE";

using JobsById = std::map<std::string, AcquiredJob*>;

AcquiredJob& JobOf(const JobsById& jobs, const pg::Result::Row& row) {
  return *jobs.at(row.Get<std::string>("job_id"));
}

NamedValue NamedValueOf(const pg::Result::Row& row) {
  return {row.Get<std::string>("name"), row.Get<std::string>("value")};
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

absl::Status ReadWork(pg::Transaction& transaction, const JobsById& jobs) {
  std::vector<std::string> ids;
  for (const auto& [id, job] : jobs) ids.push_back(id);
  ASSIGN_OR_RETURN(const std::vector<pg::Result> found,
                   transaction.Execute(pg::Pipeline()
                                           .Add(kImportWork, {ids})
                                           .Add(kBuildWork, {ids})
                                           .Add(kVariables, {ids})
                                           .Add(kParameters, {ids})
                                           .Add(kPreviousParameters, {ids})));
  for (const auto row : found[0]) {
    JobOf(jobs, row).work =
        ImportWork{IdFromColumn<lifecycle::TemplateVersionId>(row.Get<std::string>("id")),
                   row.Get<std::string>("name"), row.Get<std::string>("template_name")};
  }
  for (const auto row : found[1]) JobOf(jobs, row).work = BuildWorkOf(row);
  for (const auto row : found[2]) {
    JobOf(jobs, row).variables.push_back({row.Get<std::string>("name"),
                                          row.Get<pg::Bytea>("sealed_value").bytes,
                                          row.Get<bool>("sensitive")});
  }
  for (const auto row : found[3]) {
    std::get<BuildWork>(JobOf(jobs, row).work).parameters.push_back(NamedValueOf(row));
  }
  for (const auto row : found[4]) {
    std::get<BuildWork>(JobOf(jobs, row).work).previous_parameters.push_back(NamedValueOf(row));
  }
  if (found[0].rows() + found[1].rows() == static_cast<int>(jobs.size())) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("acquire ", jobs.size(), " jobs: only ", found[0].rows(),
                                          " have a template version and ", found[1].rows(),
                                          " a build"));
}

AcquiredJob AcquiredJobOf(const pg::Result::Row& row) {
  AcquiredJob job;
  job.place = static_cast<size_t>(row.Get<int64_t>("place")) - 1;
  job.id = IdFromColumn<JobId>(row.Get<std::string>("id"));
  job.token = IdFromColumn<lifecycle::LeaseToken>(row.Get<std::string>("lease_token"));
  job.organization =
      IdFromColumn<lifecycle::OrganizationId>(row.Get<std::string>("organization_id"));
  job.provisioner = row.Get<std::string>("provisioner");
  job.created_at = row.Get<absl::Time>("created_at");
  job.started_at = row.Get<absl::Time>("started_at");
  job.source_sha256 = row.Get<std::string>("source_sha256");
  return job;
}

absl::StatusOr<std::vector<AcquiredJob>> Acquire(pg::Transaction& transaction,
                                                 const AcquireTerms& terms) {
  std::vector<std::string> daemons;
  for (const ProvisionerDaemonId& daemon : terms.daemons) daemons.push_back(daemon.ToString());
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      transaction.Execute(kAcquire, {daemons, terms.organization.ToString(), terms.provisioners,
                                     TagsToJson(terms.tags), terms.lease}));
  std::vector<AcquiredJob> jobs;
  for (const auto row : rows) jobs.push_back(AcquiredJobOf(row));
  if (jobs.empty()) return jobs;
  std::sort(jobs.begin(), jobs.end(),
            [](const AcquiredJob& a, const AcquiredJob& b) { return a.place < b.place; });
  JobsById by_id;
  for (AcquiredJob& job : jobs) by_id.emplace(job.id.ToString(), &job);
  RETURN_IF_ERROR(ReadWork(transaction, by_id));
  std::vector<lifecycle::BuildId> builds;
  for (const AcquiredJob& job : jobs) {
    if (const auto* work = std::get_if<BuildWork>(&job.work)) builds.push_back(work->build);
  }
  RETURN_IF_ERROR(WriteBuildEvents(transaction, builds, BuildEventKind::kStatusChanged));
  return jobs;
}

// Whether the jobs were taken after all: a lease that nobody knows of would be waited for until it
// expires, and its job be ended without having run.
absl::StatusOr<bool> WereTaken(pg::Pool& pool, const std::vector<AcquiredJob>& jobs,
                               clock::Deadline deadline) {
  std::vector<std::string> ids;
  for (const AcquiredJob& job : jobs) ids.push_back(job.id.ToString());
  ASSIGN_OR_RETURN(const pg::Result rows, pool.Execute(kLeases, {ids}, deadline));
  std::map<std::string, std::optional<std::string>> tokens;
  for (const auto row : rows) {
    tokens[row.Get<std::string>("id")] = row.Get<std::optional<std::string>>("lease_token");
  }
  return std::all_of(jobs.begin(), jobs.end(), [&tokens](const AcquiredJob& job) {
    return tokens[job.id.ToString()] == job.token.ToString();
  });
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

absl::StatusOr<std::vector<AcquiredJob>> PgJobStore::AcquireJobs(const AcquireTerms& terms,
                                                                 clock::Deadline deadline) {
  std::vector<AcquiredJob> taken;
  const absl::Status outcome = pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) -> absl::Status {
        ASSIGN_OR_RETURN(taken, Acquire(transaction, terms));
        return absl::OkStatus();
      });
  if (outcome.ok()) return taken;
  if (outcome.code() != absl::StatusCode::kUnknown || taken.empty()) return outcome;
  const auto were_taken = WereTaken(pool_, taken, clock::Deadline::After(kPatience));
  if (!were_taken.ok()) return outcome;
  if (*were_taken) return taken;
  return absl::UnavailableError(
      "acquire jobs: the database session was lost before they were taken");
}

}  // namespace coder::storage
