#include <utility>

#include "libs/lifecycle/job_state.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/job_log_rows.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_job_store.h"

namespace coder::storage {
namespace {

constexpr char kReap[] = R"sql(
  WITH picked AS (
    SELECT lapsed.id
    FROM (
      SELECT j.id, j.type FROM provisioner_jobs j
      WHERE j.started_at IS NOT NULL AND j.completed_at IS NULL AND j.lease_expires_at < now()
      ORDER BY j.lease_expires_at
      OFFSET 0
    ) running
    LEFT JOIN LATERAL (
      SELECT w.id FROM workspace_builds b JOIN workspaces w ON w.id = b.workspace_id
      WHERE b.job_id = running.id
      FOR UPDATE OF w SKIP LOCKED
    ) workspace ON true
    CROSS JOIN LATERAL (
      SELECT j.id FROM provisioner_jobs j
      WHERE j.id = running.id AND j.completed_at IS NULL AND j.lease_expires_at < now()
        AND (running.type <> 'workspace_build' OR workspace.id IS NOT NULL)
      FOR UPDATE SKIP LOCKED
    ) lapsed
    LIMIT $1
  )
  UPDATE provisioner_jobs j
  SET completed_at = clock_timestamp(), updated_at = clock_timestamp(), error = $2, error_code = $3
  FROM picked WHERE j.id = picked.id
  RETURNING j.id, j.type, j.completed_at,
    (SELECT b.id FROM workspace_builds b WHERE b.job_id = j.id) AS build_id)sql";

std::vector<JobLogLine> Explanation(absl::Time at) {
  std::vector<JobLogLine> lines;
  for (const char* text :
       {"The provisioner running this job was not heard of for a whole lease.",
        "The job has been ended, so that another one can be started.",
        "The workspace's state is kept as the provisioner last stored it.",
        "Should a newer state still arrive, it is set aside until somebody adopts or dismisses it.",
        "Check that the provisioner is running and can reach this service."}) {
    lines.push_back({.time = at,
                     .source = LogSource::kProvisionerDaemon,
                     .level = LogLevel::kError,
                     .stage = "Lease expired",
                     .output = text});
  }
  return lines;
}

absl::StatusOr<std::vector<ReapedJob>> Reap(pg::Transaction& transaction, int limit) {
  ASSIGN_OR_RETURN(const lifecycle::JobState ended,
                   lifecycle::Step({.started_at = absl::UnixEpoch()}, lifecycle::LeaseExpire{},
                                   absl::UnixEpoch()));
  ASSIGN_OR_RETURN(const pg::Result rows,
                   transaction.Execute(kReap, {limit, ended.error, ended.error_code}));
  std::vector<ReapedJob> reaped;
  std::vector<lifecycle::BuildId> builds;
  for (const auto row : rows) {
    const auto job = IdFromColumn<lifecycle::JobId>(row.Get<std::string>("id"));
    reaped.push_back({job, WordFromColumn(lifecycle::ParseJobType, row.Get<std::string>("type"))});
    RETURN_IF_ERROR(
        InsertLogLines(transaction, job, Explanation(row.Get<absl::Time>("completed_at"))));
    if (const auto build = row.Get<std::optional<std::string>>("build_id")) {
      builds.push_back(IdFromColumn<lifecycle::BuildId>(*build));
    }
  }
  if (!builds.empty()) {
    RETURN_IF_ERROR(WriteBuildEvents(transaction, builds, BuildEventKind::kStatusChanged));
  }
  return reaped;
}

}  // namespace

absl::StatusOr<std::vector<ReapedJob>> PgJobStore::ReapExpired(int limit,
                                                               clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Reap(transaction, limit);
  });
}

absl::Status PgJobStore::CheckWritable(clock::Deadline deadline) {
  // A heartbeat of no job: refused by a standby, which an ordinary question would not be.
  return pool_
      .Execute("UPDATE provisioner_jobs SET lease_expires_at = lease_expires_at WHERE false", {},
               deadline)
      .status();
}

}  // namespace coder::storage
