#include "libs/storage/postgres/pg_lifecycle_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/lifecycle/new_build.h"
#include "libs/pg/pipeline.h"
#include "libs/pg/transaction.h"
#include "libs/server/log.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/insert_build.h"
#include "libs/storage/postgres/lifecycle_candidates.h"
#include "libs/storage/postgres/lifecycle_outcomes.h"
#include "libs/storage/postgres/lifecycle_rows.h"
#include "libs/storage/postgres/new_build_context.h"

namespace coder::storage {
namespace {

using lifecycle::BuildTransition;
using lifecycle::Decision;
using lifecycle::LifecycleAction;
using lifecycle::LifecycleKind;
using lifecycle::WorkspaceId;

constexpr char kDatabaseTime[] = "SELECT clock_timestamp()";

constexpr char kLock[] =
    "SELECT id FROM workspaces WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE";

// Rows that somebody holds are left to the next tick.
constexpr char kFillNextStart[] = R"sql(
WITH free AS (
  SELECT w.id, n.schedule, n.next_start_at
  FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS n (id, schedule, next_start_at)
  JOIN workspaces w ON w.id = n.id
  WHERE w.next_start_at IS NULL AND w.autostart_schedule = n.schedule
  FOR UPDATE OF w SKIP LOCKED)
UPDATE workspaces w SET next_start_at = free.next_start_at FROM free WHERE w.id = free.id)sql";

constexpr char kMarkDormant[] = R"sql(
UPDATE workspaces w
SET dormant_at = clock_timestamp(),
  deleting_at = clock_timestamp() + t.time_til_dormant_autodelete,
  revision = w.revision + 1, updated_at = clock_timestamp()
FROM templates t WHERE t.id = w.template_id AND w.id = ANY($1::uuid[]))sql";

constexpr char kSetNextStart[] = R"sql(
UPDATE workspaces w SET next_start_at = n.next_start_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS n (id, next_start_at)
WHERE w.id = n.id AND w.next_start_at IS DISTINCT FROM n.next_start_at)sql";

absl::Status CheckTick(absl::Time tick, absl::Time database_time) {
  if (tick <= database_time + kMaxTickAhead) return absl::OkStatus();
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "decide for ", absl::FormatTime(tick, absl::UTCTimeZone()), ": the database's time is ",
          absl::FormatTime(database_time, absl::UTCTimeZone()),
          ", more than a minute earlier; set the scheduler's clock")),
      "TICK_IN_FUTURE");
}

std::vector<std::string> TextsOf(const std::vector<WorkspaceId>& ids) {
  std::vector<std::string> texts;
  for (const WorkspaceId& id : ids) texts.push_back(id.ToString());
  return texts;
}

BuildTransition TransitionOf(LifecycleAction action) {
  switch (action) {
    case LifecycleAction::kStart:
      return BuildTransition::kStart;
    case LifecycleAction::kDelete:
      return BuildTransition::kDelete;
    case LifecycleAction::kStop:
    case LifecycleAction::kMarkDormant:
    case LifecycleAction::kRemind:
    case LifecycleAction::kNone:
      break;
  }
  return BuildTransition::kStop;
}

LifecycleResult Skipped(std::string reason, absl::string_view detail) {
  return {.outcome = LifecycleOutcome::kSkipped,
          .reason = std::move(reason),
          .detail = std::string(detail)};
}

// One transaction over the workspaces of a batch; holds their locks.
class Batch {
 public:
  Batch(pg::Transaction& tx, ids::UuidV7Generator& ids) : tx_(tx), ids_(ids) {}

  absl::Status Run(absl::Time tick, const std::vector<LifecycleProposal>& proposals) {
    RETURN_IF_ERROR(LockAndDecide(tick, proposals));
    RETURN_IF_ERROR(DropRecordedActions());
    RETURN_IF_ERROR(ReadContexts());
    for (size_t i = 0; i < rows_.size(); ++i) {
      Note(rows_[i], decisions_[i]);
      Prepare(rows_[i], decisions_[i]);
    }
    RETURN_IF_ERROR(InsertBuilds(tx_, builds_));
    if (!dormant_.empty()) {
      RETURN_IF_ERROR(tx_.Execute(kMarkDormant, {TextsOf(dormant_)}).status());
    }
    RETURN_IF_ERROR(WriteBuildEvents(tx_, reminders_, BuildEventKind::kAutostopReminder));
    RETURN_IF_ERROR(RecordOutcomes(tx_, outcomes_));
    return SetNextStarts();
  }

  const std::set<lifecycle::OrganizationId>& queued_in() const { return queued_in_; }
  bool wrote_events() const { return !builds_.empty() || !reminders_.empty(); }

 private:
  static LifecycleProposal KeyOf(const LifecycleRow& row, const Decision& decision) {
    return {.workspace_id = row.workspace_id,
            .kind = decision.kind,
            .nominal_time = decision.nominal_time,
            .attempt = decision.attempt};
  }

  absl::Status LockAndDecide(absl::Time tick, const std::vector<LifecycleProposal>& proposals) {
    std::set<WorkspaceId> unique;
    for (const LifecycleProposal& proposal : proposals) unique.insert(proposal.workspace_id);
    locked_.assign(unique.begin(), unique.end());
    const std::vector<std::string> ids = TextsOf(locked_);
    // Each statement sees what was committed when it began: the reads see what the lock waited
    // for.
    ASSIGN_OR_RETURN(
        const std::vector<pg::Result> read,
        tx_.Execute(
            pg::Pipeline().Add(kLock, {ids}).Add(kDatabaseTime).Add(LockedRowsSql(), {ids})));
    const auto now = read[1].Get<absl::Time>(0, 0);
    RETURN_IF_ERROR(CheckTick(tick, now));
    for (const pg::Result::Row row : read[2]) {
      rows_.push_back(ReadLifecycleRow(row));
      decisions_.push_back(lifecycle::NextTransition(rows_.back().snapshot, now));
    }
    return absl::OkStatus();
  }

  // What was done for a nominal time is not done for it again.
  absl::Status DropRecordedActions() {
    std::vector<LifecycleProposal> keys;
    for (size_t i = 0; i < rows_.size(); ++i) keys.push_back(KeyOf(rows_[i], decisions_[i]));
    ASSIGN_OR_RETURN(const auto recorded, FindOutcomes(tx_, keys));
    for (size_t i = 0; i < recorded.size(); ++i) {
      if (recorded[i] && recorded[i]->outcome == LifecycleOutcome::kApplied) {
        decisions_[i].action = LifecycleAction::kNone;
      }
    }
    return absl::OkStatus();
  }

  // The autostarts that come to nothing.
  void Note(const LifecycleRow& row, const Decision& decision) {
    for (const lifecycle::UnusedSlot& slot : decision.unused_slots) {
      outcomes_.push_back({.key = {.workspace_id = row.workspace_id,
                                   .kind = LifecycleKind::kAutostart,
                                   .nominal_time = slot.nominal_time,
                                   .attempt = slot.attempt},
                           .result = {.outcome = slot.missed ? LifecycleOutcome::kMissed
                                                             : LifecycleOutcome::kSkipped,
                                      .reason = slot.reason,
                                      .detail = slot.detail}});
    }
    if (!decision.schedule_error.empty()) {
      // It has no nominal time; the build's makes it one record for each build.
      outcomes_.push_back({.key = {.workspace_id = row.workspace_id,
                                   .kind = LifecycleKind::kAutostart,
                                   .nominal_time = row.snapshot.build_created_at},
                           .result = Skipped(kScheduleInvalid, decision.schedule_error)});
    }
  }

  static bool CausesBuild(const Decision& decision) {
    switch (decision.action) {
      case LifecycleAction::kStart:
      case LifecycleAction::kStop:
      case LifecycleAction::kDelete:
        return true;
      case LifecycleAction::kMarkDormant:
      case LifecycleAction::kRemind:
      case LifecycleAction::kNone:
        break;
    }
    return false;
  }

  absl::Status ReadContexts() {
    std::vector<NewBuildOrder> orders;
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (!CausesBuild(decisions_[i])) continue;
      orders.push_back({.workspace = rows_[i].workspace_id,
                        .request = {.transition = TransitionOf(decisions_[i].action)}});
    }
    ASSIGN_OR_RETURN(std::vector<lifecycle::NewBuildContext> read, ReadForNewBuilds(tx_, orders));
    for (size_t i = 0; i < read.size(); ++i) {
      contexts_.emplace(orders[i].workspace, std::move(read[i]));
    }
    return absl::OkStatus();
  }

  void Prepare(const LifecycleRow& row, const Decision& decision) {
    if (decision.action == LifecycleAction::kNone) return;
    LifecycleResult result{.outcome = LifecycleOutcome::kApplied, .detail = decision.explanation};
    if (CausesBuild(decision)) result = PlanBuild(row, decision);
    if (decision.action == LifecycleAction::kRemind) reminders_.push_back(row.latest_build);
    if (result.outcome == LifecycleOutcome::kApplied && decision.kind == LifecycleKind::kDormancy) {
      dormant_.push_back(row.workspace_id);
    }
    outcomes_.push_back({.key = KeyOf(row, decision), .result = std::move(result)});
  }

  LifecycleResult PlanBuild(const LifecycleRow& row, const Decision& decision) {
    const lifecycle::NewBuildContext& context = contexts_.at(row.workspace_id);
    const auto plan = lifecycle::CheckNewBuild(context);
    if (!plan.ok()) {
      const auto reason = status::ReasonOf(plan.status());
      return Skipped(reason ? reason->reason : "PARAMETERS_INVALID", plan.status().message());
    }
    if (!context.provisioner_available) {
      return Skipped(kNoProvisioner,
                     "no provisioner with the template version's tags was seen within 90 seconds");
    }
    BuildToInsert build;
    build.id = lifecycle::BuildId(ids_.Next());
    build.job = lifecycle::JobId(ids_.Next());
    build.workspace = row.workspace_id;
    build.version = context.version.id;
    build.transition = context.request.transition;
    build.reason = decision.reason;
    build.initiator = row.owner_id;
    build.plan = *plan;
    builds_.push_back(build);
    queued_in_.insert(row.organization_id);
    return LifecycleResult{.outcome = LifecycleOutcome::kApplied,
                           .detail = decision.explanation,
                           .build_id = build.id};
  }

  absl::Status SetNextStarts() {
    const std::vector<std::string> ids = TextsOf(locked_);
    ASSIGN_OR_RETURN(const pg::Result rows, tx_.Execute(LockedRowsSql(), {ids}));
    std::vector<std::string> workspaces;
    std::vector<std::optional<absl::Time>> next;
    for (const pg::Result::Row row : rows) {
      const LifecycleRow read = ReadLifecycleRow(row);
      workspaces.push_back(read.workspace_id.ToString());
      next.push_back(FirstUndecidedStart(read.snapshot));
    }
    return tx_.Execute(kSetNextStart, {workspaces, next}).status();
  }

  pg::Transaction& tx_;
  ids::UuidV7Generator& ids_;
  std::vector<WorkspaceId> locked_;
  // One for each locked workspace that has a build.
  std::vector<LifecycleRow> rows_;
  std::vector<Decision> decisions_;
  // Of those that are to have a build.
  std::map<WorkspaceId, lifecycle::NewBuildContext> contexts_;
  std::vector<BuildToInsert> builds_;
  std::set<lifecycle::OrganizationId> queued_in_;
  std::vector<WorkspaceId> dormant_;
  std::vector<lifecycle::BuildId> reminders_;
  std::vector<OutcomeToStore> outcomes_;
};

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

absl::StatusOr<std::vector<LifecycleCandidate>> PgLifecycleStore::Candidates(
    absl::Time tick, const WorkspaceId& after, int limit, clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline},
      [&](pg::Transaction& tx) -> absl::StatusOr<std::vector<LifecycleCandidate>> {
        ASSIGN_OR_RETURN(const pg::Result now, tx.Execute(kDatabaseTime));
        RETURN_IF_ERROR(CheckTick(tick, now.Get<absl::Time>(0, 0)));
        ASSIGN_OR_RETURN(const pg::Result rows,
                         tx.Execute(CandidatesSql(), {tick, after.ToString(), limit}));
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
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) -> absl::StatusOr<AppliedProposals> {
                                Batch batch(tx, ids_);
                                RETURN_IF_ERROR(batch.Run(tick, proposals));
                                ASSIGN_OR_RETURN(const auto found, FindOutcomes(tx, proposals));
                                AppliedProposals applied{.queued_in = batch.queued_in(),
                                                         .wrote_events = batch.wrote_events()};
                                for (const auto& one : found)
                                  applied.results.push_back(one.value_or(LifecycleResult{}));
                                return applied;
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
      const LifecycleResult failed =
          Skipped(kWriteFailed, "the server cannot write this workspace; its log says why");
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
