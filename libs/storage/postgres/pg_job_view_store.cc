#include "libs/storage/postgres/pg_job_view_store.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_log_rows.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

using lifecycle::JobId;

// The tail differs: one job, or a page of an organization's.
#define CODER_JOB_VIEW_SQL(tail)                                                              \
  "SELECT j.id, j.type, j.status, j.organization_id, j.initiator_id, j.provisioner, j.tags,"  \
  " j.created_at, j.started_at, j.canceled_at, j.completed_at, j.error, j.error_code,"        \
  " j.worker_id, coalesce(d.name, '') AS worker_name, j.logs_overflowed, v.id AS version_id," \
  " b.id AS build_id, coalesce(w.template_id, v.template_id) AS template_id,"                 \
  " coalesce(w.owner_id, v.created_by, j.initiator_id) AS owner_id,"                          \
  " (SELECT count(*) FROM provisioner_daemons p"                                              \
  "  JOIN provisioner_keys k ON k.id = p.key_id AND k.revoked_at IS NULL"                     \
  "  WHERE p.organization_id = j.organization_id AND j.provisioner = ANY(p.provisioners)"     \
  "  AND p.last_seen_at > now() - interval '90 seconds'"                                      \
  "  AND provisioner_tags_match(p.tags, j.tags))::int AS matching"                            \
  " FROM provisioner_jobs j"                                                                  \
  " LEFT JOIN provisioner_daemons d ON d.id = j.worker_id"                                    \
  " LEFT JOIN template_versions v ON v.job_id = j.id"                                         \
  " LEFT JOIN workspace_builds b ON b.job_id = j.id"                                          \
  " LEFT JOIN workspaces w ON w.id = b.workspace_id " tail

constexpr char kOneJob[] = CODER_JOB_VIEW_SQL("WHERE j.id = $1");

constexpr char kJobPage[] = CODER_JOB_VIEW_SQL(
    "WHERE j.organization_id = $1 AND (cardinality($2::text[]) = 0 OR j.status = ANY($2::text[]))"
    " AND ($3::timestamptz IS NULL OR j.created_at < $3 OR (j.created_at = $3 AND j.id > $4::uuid))"
    " ORDER BY j.created_at DESC, j.id LIMIT $5");

#undef CODER_JOB_VIEW_SQL

constexpr char kDaemons[] = R"sql(
  SELECT d.id, d.organization_id, d.name, d.version, k.name AS key_name, d.provisioners, d.tags, d.slots,
    d.created_at, d.last_seen_at,
    k.revoked_at IS NULL AND d.last_seen_at > now() - interval '90 seconds' AS online,
    count(j.id)::int AS running_jobs
  FROM provisioner_daemons d
  JOIN provisioner_keys k ON k.id = d.key_id
  LEFT JOIN provisioner_jobs j
    ON j.worker_id = d.id AND j.started_at IS NOT NULL AND j.completed_at IS NULL
  WHERE d.organization_id = $1
  GROUP BY d.id, k.id
  ORDER BY d.name, d.id)sql";

constexpr char kLogs[] = R"sql(
  SELECT id, created_at, source, level, stage, output FROM provisioner_job_logs
  WHERE job_id = $1 AND id > $2 ORDER BY id LIMIT $3)sql";

constexpr char kCounts[] = R"sql(
  SELECT provisioner, status, count(*) AS jobs FROM provisioner_jobs
  WHERE completed_at IS NULL GROUP BY provisioner, status)sql";

template <typename Id>
std::optional<Id> OptionalId(const pg::Result::Row& row, std::string_view column) {
  const auto text = row.Get<std::optional<std::string>>(column);
  return text ? std::optional(IdFromColumn<Id>(*text)) : std::nullopt;
}

JobView ViewOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  const auto time = [&row](std::string_view column) {
    return row.Get<std::optional<absl::Time>>(column);
  };
  JobView view;
  view.id = IdFromColumn<JobId>(text("id"));
  view.type = WordFromColumn(lifecycle::ParseJobType, text("type"));
  view.status = WordFromColumn(lifecycle::ParseJobStatus, text("status"));
  view.organization = IdFromColumn<lifecycle::OrganizationId>(text("organization_id"));
  view.initiator = IdFromColumn<lifecycle::UserId>(text("initiator_id"));
  view.owner = IdFromColumn<lifecycle::UserId>(text("owner_id"));
  view.provisioner = text("provisioner");
  view.tags = TagsFromJson(text("tags"));
  view.created_at = row.Get<absl::Time>("created_at");
  view.started_at = time("started_at");
  view.canceled_at = time("canceled_at");
  view.completed_at = time("completed_at");
  view.error = text("error");
  view.error_code = text("error_code");
  view.worker = OptionalId<lifecycle::ProvisionerDaemonId>(row, "worker_id");
  view.worker_name = text("worker_name");
  view.logs_overflowed = row.Get<bool>("logs_overflowed");
  view.matching_provisioners = row.Get<int32_t>("matching");
  view.version = OptionalId<lifecycle::TemplateVersionId>(row, "version_id");
  view.build = OptionalId<lifecycle::BuildId>(row, "build_id");
  view.template_id = OptionalId<lifecycle::TemplateId>(row, "template_id");
  return view;
}

}  // namespace

absl::StatusOr<JobView> PgJobViewStore::GetJob(JobId id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kOneJob, {id.ToString()}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("get job ", id.ToString(), ": there is none"));
  }
  return ViewOf(rows[0]);
}

absl::StatusOr<std::vector<JobView>> PgJobViewStore::ListJobs(
    const JobFilter& filter, const std::optional<JobPageKey>& after, int limit,
    clock::Deadline deadline) {
  std::vector<std::string> statuses;
  for (const lifecycle::JobStatus status : filter.statuses) {
    statuses.emplace_back(lifecycle::ToString(status));
  }
  std::optional<absl::Time> created_at;
  std::optional<std::string> id;
  if (after) {
    created_at = after->created_at;
    id = after->id.ToString();
  }
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      pool_.Execute(kJobPage, {filter.organization.ToString(), statuses, created_at, id, limit},
                    deadline));
  std::vector<JobView> views;
  for (const auto row : rows) views.push_back(ViewOf(row));
  return views;
}

absl::StatusOr<std::vector<DaemonView>> PgJobViewStore::ListDaemons(
    lifecycle::OrganizationId organization, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kDaemons, {organization.ToString()}, deadline));
  std::vector<DaemonView> views;
  for (const auto row : rows) {
    DaemonView view;
    view.id = IdFromColumn<lifecycle::ProvisionerDaemonId>(row.Get<std::string>("id"));
    view.organization = organization;
    view.name = row.Get<std::string>("name");
    view.version = row.Get<std::string>("version");
    view.key_name = row.Get<std::string>("key_name");
    view.provisioners = row.Get<std::vector<std::string>>("provisioners");
    view.tags = TagsFromJson(row.Get<std::string>("tags"));
    view.slots = row.Get<int32_t>("slots");
    view.running_jobs = row.Get<int32_t>("running_jobs");
    view.online = row.Get<bool>("online");
    view.created_at = row.Get<absl::Time>("created_at");
    view.last_seen_at = row.Get<absl::Time>("last_seen_at");
    views.push_back(std::move(view));
  }
  return views;
}

absl::StatusOr<std::vector<StoredLogLine>> PgJobViewStore::ReadLogs(JobId job, int64_t after_id,
                                                                    int limit,
                                                                    clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kLogs, {job.ToString(), after_id, limit}, deadline));
  std::vector<StoredLogLine> lines;
  for (const auto row : rows) {
    lines.push_back({row.Get<int64_t>("id"),
                     {.time = row.Get<absl::Time>("created_at"),
                      .source = LogSourceFromColumn(row.Get<std::string>("source")),
                      .level = LogLevelFromColumn(row.Get<std::string>("level")),
                      .stage = row.Get<std::string>("stage"),
                      .output = row.Get<std::string>("output")}});
  }
  return lines;
}

absl::StatusOr<std::vector<JobCount>> PgJobViewStore::CountJobs(clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kCounts, {}, deadline));
  std::vector<JobCount> counts;
  for (const auto row : rows) {
    counts.push_back({row.Get<std::string>("provisioner"),
                      WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status")),
                      row.Get<int64_t>("jobs")});
  }
  return counts;
}

}  // namespace coder::storage
