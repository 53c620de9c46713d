#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/pg/transaction.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_job_store.h"

namespace coder::storage {
namespace {

// The next runner counts its own log lines from zero.
constexpr char kRelease[] = R"sql(
  UPDATE provisioner_jobs
  SET started_at = NULL, worker_id = NULL, lease_token = NULL, lease_expires_at = NULL, logs_count = 0,
      completed_at = CASE WHEN canceled_at IS NOT NULL THEN clock_timestamp() END,
      updated_at = clock_timestamp()
  WHERE id = $1)sql";

constexpr char kHeartbeat[] = R"sql(
  WITH renewed AS (
    UPDATE provisioner_jobs SET lease_expires_at = clock_timestamp() + $4::interval
    WHERE id = $1 AND organization_id = $2 AND lease_token = $3 AND completed_at IS NULL
    RETURNING worker_id, canceled_at
  ), seen AS (
    UPDATE provisioner_daemons d SET last_seen_at = now() FROM renewed
    WHERE d.id = renewed.worker_id AND d.last_seen_at < now() - interval '10 seconds'
  )
  SELECT canceled_at IS NOT NULL AS cancel_requested FROM renewed)sql";

constexpr char kSource[] = R"sql(
  SELECT f.data FROM provisioner_jobs j JOIN files f ON f.id = j.file_id
  WHERE j.id = $1 AND j.organization_id = $2 AND j.lease_token = $3 AND j.completed_at IS NULL)sql";

constexpr char kState[] = R"sql(
  SELECT b.id IS NOT NULL AS is_build, b.sealed_state
  FROM provisioner_jobs j LEFT JOIN workspace_builds b ON b.job_id = j.id
  WHERE j.id = $1 AND j.organization_id = $2 AND j.lease_token = $3 AND j.completed_at IS NULL)sql";

constexpr char kStoreState[] = R"sql(
  UPDATE workspace_builds SET sealed_state = $2, updated_at = clock_timestamp() WHERE id = $1)sql";

constexpr char kStoreLateState[] = R"sql(
  UPDATE workspace_builds
  SET late_state = $2, late_state_at = clock_timestamp(), late_state_resolution = NULL,
      updated_at = clock_timestamp()
  WHERE id = $1)sql";

std::vector<pg::Param> ClaimParams(const LeaseClaim& claim) {
  return {claim.job.ToString(), claim.organization.ToString(), claim.token.ToString()};
}

absl::Status NoBuild(absl::string_view attempt, const LeaseClaim& claim) {
  return absl::InvalidArgumentError(absl::StrCat(
      attempt, " ", claim.job.ToString(), ": the job is a template import; it has no state"));
}

absl::Status Release(pg::Transaction& transaction, const LeaseClaim& claim) {
  ASSIGN_OR_RETURN(const LockedJob job, LockClaimedJob(transaction, claim, "release job"));
  if (!job.held()) return LeaseLost("release job", claim);
  RETURN_IF_ERROR(transaction.Execute(kRelease, {claim.job.ToString()}).status());
  if (!job.build) return absl::OkStatus();
  return WriteBuildEvent(transaction, *job.build, BuildEventKind::kStatusChanged);
}

absl::StatusOr<bool> StoreState(pg::Transaction& transaction, const LeaseClaim& claim,
                                const std::string& sealed) {
  constexpr absl::string_view kAttempt = "store state of job";
  ASSIGN_OR_RETURN(const LockedJob job, LockClaimedJob(transaction, claim, kAttempt));
  if (!job.token_matches) return LeaseLost(kAttempt, claim);
  if (!job.build) return NoBuild(kAttempt, claim);
  const bool late = !job.held();
  RETURN_IF_ERROR(
      transaction
          .Execute(late ? kStoreLateState : kStoreState, {job.build->ToString(), pg::Bytea{sealed}})
          .status());
  if (late) {
    RETURN_IF_ERROR(WriteBuildEvent(transaction, *job.build, BuildEventKind::kLateStateStored));
  }
  return late;
}

}  // namespace

absl::Status PgJobStore::ReleaseJob(const LeaseClaim& claim, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Release(transaction, claim);
  });
}

absl::StatusOr<HeartbeatAnswer> PgJobStore::Heartbeat(const LeaseClaim& claim, absl::Duration lease,
                                                      clock::Deadline deadline) {
  std::vector<pg::Param> params = ClaimParams(claim);
  params.emplace_back(lease);
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kHeartbeat, std::move(params), deadline));
  if (rows.empty()) return LeaseLost("renew lease of job", claim);
  return HeartbeatAnswer{.cancel_requested = rows.Get<bool>(0, 0)};
}

absl::StatusOr<std::string> PgJobStore::LoadSource(const LeaseClaim& claim,
                                                   clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kSource, ClaimParams(claim), deadline));
  if (rows.empty()) return LeaseLost("download source of job", claim);
  return rows.Get<pg::Bytea>(0, 0).bytes;
}

absl::StatusOr<std::optional<std::string>> PgJobStore::LoadSealedState(const LeaseClaim& claim,
                                                                       clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kState, ClaimParams(claim), deadline));
  if (rows.empty()) return LeaseLost("download state of job", claim);
  if (!rows.Get<bool>(0, "is_build")) return NoBuild("download state of job", claim);
  auto state = rows.Get<std::optional<pg::Bytea>>(0, "sealed_state");
  if (!state) return std::nullopt;
  return std::move(state->bytes);
}

absl::StatusOr<bool> PgJobStore::StoreSealedState(const LeaseClaim& claim,
                                                  const std::string& sealed,
                                                  clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return StoreState(transaction, claim, sealed);
  });
}

}  // namespace coder::storage
