#include "libs/storage/postgres/pg_lifecycle_store.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/pg/transaction.h"
#include "libs/server/log.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/lifecycle_batch.h"
#include "libs/storage/postgres/lifecycle_candidates.h"
#include "libs/storage/postgres/lifecycle_rows.h"

namespace coder::storage {
namespace {

using lifecycle::WorkspaceId;

constexpr char kDatabaseTime[] = "SELECT clock_timestamp()";

// Rows that somebody holds are left to the next tick.
constexpr char kFillNextStart[] = R"sql(
WITH free AS (
  SELECT w.id, n.schedule, n.next_start_at
  FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS n (id, schedule, next_start_at)
  JOIN workspaces w ON w.id = n.id
  WHERE w.next_start_at IS NULL AND w.autostart_schedule = n.schedule
  FOR UPDATE OF w SKIP LOCKED)
UPDATE workspaces w SET next_start_at = free.next_start_at FROM free WHERE w.id = free.id)sql";

// Whether the fault may lie in one workspace's rows, and not in the connection or the call.
bool MayBeOneRow(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kInternal:
      return true;
    case absl::StatusCode::kFailedPrecondition: {
      const auto reason = status::ReasonOf(status);
      return !reason || reason->reason != "TICK_IN_FUTURE";
    }
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::vector<WorkspaceId>> PgLifecycleStore::DueWorkspaces(absl::Time tick,
                                                                         clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline},
      [&](pg::Transaction& tx) -> absl::StatusOr<std::vector<WorkspaceId>> {
        ASSIGN_OR_RETURN(const pg::Result now, tx.Execute(kDatabaseTime));
        RETURN_IF_ERROR(CheckTick(tick, now.Get<absl::Time>(0, 0)));
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(DueWorkspacesSql(), {tick}, pg::Plan::kFresh));
        std::vector<WorkspaceId> due;
        for (const pg::Result::Row row : rows) {
          due.push_back(WorkspaceId::Parse(row.Get<std::string>("id")).value());
        }
        return due;
      });
}

absl::StatusOr<std::vector<LifecycleCandidate>> PgLifecycleStore::Candidates(
    const std::vector<WorkspaceId>& workspaces, clock::Deadline deadline) {
  const std::vector<std::string> wanted = TextsOf(workspaces);
  return pg::RunInTransaction(
      pool_, {.deadline = deadline},
      [&](pg::Transaction& tx) -> absl::StatusOr<std::vector<LifecycleCandidate>> {
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(LifecycleRowsSql(), {wanted}, pg::Plan::kFresh));
        std::vector<LifecycleCandidate> candidates;
        std::vector<std::string> ids, schedules;
        std::vector<absl::Time> next_starts;
        for (const pg::Result::Row row : rows) {
          const LifecycleRow read = ReadLifecycleRow(row);
          candidates.push_back({read.workspace_id, read.snapshot});
          if (read.next_start_at) continue;
          const auto next = FirstUndecidedStart(read.snapshot);
          if (!next) continue;
          ids.push_back(read.workspace_id.ToString());
          schedules.push_back(read.snapshot.autostart_schedule);
          next_starts.push_back(*next);
        }
        if (!ids.empty()) {
          RETURN_IF_ERROR(tx.Execute(kFillNextStart, {ids, schedules, next_starts}).status());
        }
        return candidates;
      });
}

absl::StatusOr<AppliedProposals> PgLifecycleStore::Apply(
    absl::Time tick, const std::vector<LifecycleProposal>& proposals, clock::Deadline deadline) {
  if (proposals.size() > kMaxLifecycleChunk) {
    return absl::InvalidArgumentError(absl::StrCat("apply ", proposals.size(),
                                                   " lifecycle decisions: at most ",
                                                   kMaxLifecycleChunk, " at once"));
  }
  auto results = ApplyOnce(tick, proposals, deadline);
  if (!results.ok() && MayBeOneRow(results.status())) {
    return ApplyOneByOne(tick, proposals, deadline);
  }
  return results;
}

absl::StatusOr<AppliedProposals> PgLifecycleStore::ApplyOnce(
    absl::Time tick, const std::vector<LifecycleProposal>& proposals, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& tx) {
    return ApplyBatch(tx, ids_, tick, proposals);
  });
}

absl::StatusOr<AppliedProposals> PgLifecycleStore::ApplyOneByOne(
    absl::Time tick, const std::vector<LifecycleProposal>& proposals, clock::Deadline deadline) {
  std::map<WorkspaceId, std::vector<size_t>> places;
  for (size_t i = 0; i < proposals.size(); ++i) places[proposals[i].workspace_id].push_back(i);
  AppliedProposals applied;
  applied.results.resize(proposals.size());
  for (const auto& [workspace, own_places] : places) {
    std::vector<LifecycleProposal> own;
    for (size_t place : own_places) own.push_back(proposals[place]);
    auto own_applied = ApplyOnce(tick, own, deadline);
    if (!own_applied.ok() && !MayBeOneRow(own_applied.status())) return own_applied.status();
    if (!own_applied.ok()) {
      log::Error("a workspace's lifecycle decisions cannot be written",
                 {{"workspace_id", workspace.ToString()}, {"error", own_applied.status()}});
      const LifecycleResult failed{
          .outcome = LifecycleOutcome::kSkipped,
          .reason = kWriteFailed,
          .detail = "the server cannot write this workspace; its log says why"};
      own_applied = AppliedProposals{.results = {own.size(), failed}};
    }
    for (size_t i = 0; i < own.size(); ++i) {
      applied.results[own_places[i]] = own_applied->results[i];
    }
    applied.queued_in.merge(own_applied->queued_in);
    applied.wrote_events |= own_applied->wrote_events;
  }
  return applied;
}

}  // namespace coder::storage
