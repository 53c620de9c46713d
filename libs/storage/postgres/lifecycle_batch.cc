#include "libs/storage/postgres/lifecycle_batch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/new_build.h"
#include "libs/pg/pipeline.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/insert_build.h"
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

constexpr char kLock[] =
    "SELECT id FROM workspaces WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE";

// now(): when the transaction began, which is what it writes as the time of what it makes.
constexpr char kTimes[] = "SELECT clock_timestamp(), now()";

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

// What one transaction does to the workspaces it holds locked.
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
    FindNextStarts();
    RETURN_IF_ERROR(InsertBuilds(tx_, builds_));
    if (!dormant_.empty()) {
      RETURN_IF_ERROR(tx_.Execute(kMarkDormant, {TextsOf(dormant_)}).status());
    }
    RETURN_IF_ERROR(WriteBuildEvents(tx_, reminders_, BuildEventKind::kAutostopReminder));
    ASSIGN_OR_RETURN(recorded_, RecordOutcomes(tx_, outcomes_));
    if (quiet_.empty()) return absl::OkStatus();
    return tx_.Execute(kSetNextStart, {quiet_, quiet_next_starts_}).status();
  }

  // What is now recorded for each proposal, in order.
  absl::StatusOr<std::vector<LifecycleResult>> Answers(
      const std::vector<LifecycleProposal>& proposals) {
    std::vector<LifecycleProposal> unknown;
    for (const LifecycleProposal& proposal : proposals) {
      if (!recorded_.contains(proposal)) unknown.push_back(proposal);
    }
    ASSIGN_OR_RETURN(OutcomesByKey found, FindOutcomes(tx_, unknown));
    recorded_.merge(found);
    std::vector<LifecycleResult> answers;
    for (const LifecycleProposal& proposal : proposals) {
      const auto known = recorded_.find(proposal);
      answers.push_back(known == recorded_.end() ? LifecycleResult{} : known->second);
    }
    return answers;
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
    const std::vector<std::string> ids = TextsOf({unique.begin(), unique.end()});
    // Each statement sees what was committed when it began: the reads see what the lock waited
    // for.
    ASSIGN_OR_RETURN(const std::vector<pg::Result> read,
                     tx_.Execute(pg::Pipeline()
                                     .Add(kLock, {ids})
                                     .Add(kTimes)
                                     .Add(LifecycleRowsSql(), {ids}, pg::Plan::kFresh)));
    const auto now = read[1].Get<absl::Time>(0, 0);
    began_ = read[1].Get<absl::Time>(0, 1);
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
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto own = recorded.find(keys[i]);
      if (own != recorded.end() && own->second.outcome == LifecycleOutcome::kApplied) {
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

  // The prefilter as it is after this batch: from the time of a new build, and from the latest
  // nominal time that is decided.
  void FindNextStarts() {
    std::map<WorkspaceId, BuildToInsert*> built;
    for (BuildToInsert& build : builds_) built[build.workspace] = &build;
    const std::map<WorkspaceId, absl::Time> decided = DecidedNow();
    for (LifecycleRow& row : rows_) {
      const auto build = built.find(row.workspace_id);
      if (build != built.end()) row.snapshot.build_created_at = began_;
      if (const auto at = decided.find(row.workspace_id); at != decided.end()) {
        std::optional<absl::Time>& until = row.snapshot.autostart_decided_until;
        until = std::max(until.value_or(at->second), at->second);
      }
      const std::optional<absl::Time> next = FirstUndecidedStart(row.snapshot);
      if (build != built.end()) {
        build->second->next_start = {next};
      } else if (next != row.next_start_at) {
        quiet_.push_back(row.workspace_id.ToString());
        quiet_next_starts_.push_back(next);
      }
    }
  }

  // The latest autostart of each workspace that this batch decides for good.
  std::map<WorkspaceId, absl::Time> DecidedNow() const {
    std::map<WorkspaceId, absl::Time> decided;
    for (const OutcomeToStore& outcome : outcomes_) {
      const bool open = outcome.result.outcome == LifecycleOutcome::kSkipped &&
                        outcome.result.reason == kNoProvisioner;
      if (open || outcome.key.kind != LifecycleKind::kAutostart) continue;
      const absl::Time nominal = outcome.key.nominal_time;
      const auto [at, first] = decided.try_emplace(outcome.key.workspace_id, nominal);
      if (!first) at->second = std::max(at->second, nominal);
    }
    return decided;
  }

  pg::Transaction& tx_;
  ids::UuidV7Generator& ids_;
  absl::Time began_;
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
  OutcomesByKey recorded_;
  // Workspaces without a new build whose next autostart is another than before.
  std::vector<std::string> quiet_;
  std::vector<std::optional<absl::Time>> quiet_next_starts_;
};

}  // namespace

absl::Status CheckTick(absl::Time tick, absl::Time database_time) {
  if (tick <= database_time + kMaxTickAhead) return absl::OkStatus();
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          "decide for ", absl::FormatTime(tick, absl::UTCTimeZone()), ": the database's time is ",
          absl::FormatTime(database_time, absl::UTCTimeZone()),
          ", more than a minute earlier; set the scheduler's clock")),
      "TICK_IN_FUTURE");
}

absl::StatusOr<AppliedProposals> ApplyBatch(pg::Transaction& tx, ids::UuidV7Generator& ids,
                                            absl::Time tick,
                                            const std::vector<LifecycleProposal>& proposals) {
  Batch batch(tx, ids);
  RETURN_IF_ERROR(batch.Run(tick, proposals));
  AppliedProposals applied{.queued_in = batch.queued_in(), .wrote_events = batch.wrote_events()};
  ASSIGN_OR_RETURN(applied.results, batch.Answers(proposals));
  return applied;
}

}  // namespace coder::storage
