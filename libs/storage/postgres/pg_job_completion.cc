#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/failpoint/failpoint.h"
#include "libs/pg/transaction.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/autostop_requirement.h"
#include "libs/schedule/cron.h"
#include "libs/schedule/quiet_hours.h"
#include "libs/schedule/spread.h"
#include "libs/schedule/ttl.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/job_result_rows.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_job_store.h"

namespace coder::storage {
namespace {

using lifecycle::BuildTransition;
using lifecycle::JobStatus;
using lifecycle::JobType;

// A cancel that came too late to stop anything is forgotten: the work was done.
constexpr char kSucceed[] = R"sql(
  UPDATE provisioner_jobs
  SET completed_at = clock_timestamp(), canceled_at = NULL, updated_at = clock_timestamp()
  WHERE id = $1 RETURNING completed_at)sql";

constexpr char kFail[] = R"sql(
  UPDATE provisioner_jobs
  SET completed_at = clock_timestamp(), updated_at = clock_timestamp(),
      error = CASE WHEN $4 AND canceled_at IS NOT NULL THEN '' ELSE left($2, 1024) END,
      error_code = CASE WHEN $4 AND canceled_at IS NOT NULL THEN '' ELSE $3 END
  WHERE id = $1)sql";

constexpr char kVersionOfJob[] = "SELECT id FROM template_versions WHERE job_id = $1";

constexpr char kFinishVersion[] = R"sql(
  UPDATE template_versions SET readme = $2, updated_at = clock_timestamp() WHERE id = $1)sql";

// Builds copy the tags of their version's job.
constexpr char kAddTags[] = "UPDATE provisioner_jobs SET tags = tags || $2::jsonb WHERE id = $1";

constexpr char kScheduleFacts[] = R"sql(
  SELECT w.autostart_schedule, w.ttl, w.dormant_at IS NOT NULL AS dormant,
    t.default_ttl, t.allow_user_autostart, t.allow_user_autostop, t.autostart_allowed_days::int,
    t.autostop_requirement_days::int, t.autostop_requirement_weeks::int, t.autostart_spread,
    u.quiet_hours_schedule, b.created_at AS build_created_at, b.reason, b.transition,
    (SELECT o.nominal_at FROM lifecycle_outcomes o
     WHERE o.build_id = b.id AND o.attempt = 1 LIMIT 1) AS nominal_at
  FROM workspaces w JOIN templates t ON t.id = w.template_id JOIN users u ON u.id = w.owner_id
  JOIN workspace_builds b ON b.id = w.latest_build_id WHERE w.id = $1)sql";

constexpr char kSetDeadline[] = R"sql(
  UPDATE workspace_builds SET deadline = $2, max_deadline = $3, updated_at = clock_timestamp()
  WHERE id = $1)sql";

constexpr char kFinishWorkspace[] = R"sql(
  UPDATE workspaces
  SET next_start_at = $2, revision = revision + 1, updated_at = clock_timestamp(),
      deleted_at = CASE WHEN $3 THEN clock_timestamp() ELSE deleted_at END
  WHERE id = $1)sql";

// What a workspace's next times follow from, and what they are.
struct ScheduleFacts {
  std::optional<absl::Duration> ttl;
  std::optional<schedule::Cron> autostart;
  schedule::DaysOfWeek allowed_days = schedule::kEveryDay;
  schedule::AutostopRequirement requirement;
  std::optional<std::string> own_quiet_hours;
  absl::Duration spread;

  std::optional<absl::Time> NextStart(absl::Time now) const {
    if (!autostart) return std::nullopt;
    const auto next = schedule::NextAllowedAutostart(now, *autostart, allowed_days);
    return next.ok() ? std::optional(*next) : std::nullopt;
  }

  std::optional<absl::Time> MaxDeadline(const schedule::QuietHoursTerms& terms,
                                        absl::Time completed_at) const {
    return schedule::MaxDeadline(requirement, schedule::QuietHoursOf(own_quiet_hours, terms),
                                 completed_at);
  }
};

ScheduleFacts FactsOf(const pg::Result::Row& row) {
  ScheduleFacts facts;
  facts.ttl = schedule::EffectiveTtl(row.Get<std::optional<absl::Duration>>("ttl"),
                                     row.Get<std::optional<absl::Duration>>("default_ttl"),
                                     row.Get<bool>("allow_user_autostop"));
  facts.allowed_days =
      static_cast<schedule::DaysOfWeek>(row.Get<int32_t>("autostart_allowed_days"));
  facts.requirement.days =
      static_cast<schedule::DaysOfWeek>(row.Get<int32_t>("autostop_requirement_days"));
  facts.requirement.weeks = row.Get<int32_t>("autostop_requirement_weeks");
  facts.own_quiet_hours = row.Get<std::optional<std::string>>("quiet_hours_schedule");
  facts.spread = row.Get<absl::Duration>("autostart_spread");
  const auto text = row.Get<std::optional<std::string>>("autostart_schedule");
  if (text && row.Get<bool>("allow_user_autostart") && !row.Get<bool>("dormant")) {
    // One that cannot be read is the scheduler's to report; the build ends all the same.
    if (auto cron = schedule::Cron::ParseWeekly(*text); cron.ok())
      facts.autostart = *std::move(cron);
  }
  return facts;
}

// True: go on. False: this lease has ended the job in just this way before.
absl::StatusOr<bool> MayEnd(const LockedJob& job, const LeaseClaim& claim, JobType type,
                            absl::string_view attempt) {
  if (!job.token_matches) return LeaseLost(attempt, claim);
  if (job.type != type) {
    return absl::InvalidArgumentError(absl::StrCat(attempt, " ", claim.job.ToString(),
                                                   ": the result is of another type; the job is a ",
                                                   lifecycle::ToString(job.type)));
  }
  if (job.status == JobStatus::kSucceeded) return false;
  if (!job.held() && !failpoint::IsOn("off.lease_check")) return LeaseLost(attempt, claim);
  return true;
}

absl::Status Import(pg::Transaction& transaction, const LeaseClaim& claim,
                    const ImportOutcome& outcome, const std::vector<StageTiming>& timings,
                    ids::UuidV7Generator& ids) {
  constexpr absl::string_view kAttempt = "complete import job";
  ASSIGN_OR_RETURN(const LockedJob job, LockClaimedJob(transaction, claim, kAttempt));
  ASSIGN_OR_RETURN(const bool go_on, MayEnd(job, claim, JobType::kTemplateVersionImport, kAttempt));
  if (!go_on) return absl::OkStatus();
  const std::string id = claim.job.ToString();
  ASSIGN_OR_RETURN(const pg::Result rows, transaction.Execute(kVersionOfJob, {id}));
  if (rows.empty()) return absl::InternalError("complete import job: no template version");
  const auto version = IdFromColumn<lifecycle::TemplateVersionId>(rows.Get<std::string>(0, 0));

  pg::Pipeline writes;
  AddParameters(writes, version, outcome.parameters);
  AddVariables(writes, version, outcome.variables);
  AddResources(writes, claim.job, outcome.resources, ids);
  AddTimings(writes, claim.job, timings);
  writes.Add(kFinishVersion, {version.ToString(), outcome.readme});
  if (!outcome.workspace_tags.empty()) {
    writes.Add(kAddTags, {id, TagsToJson(outcome.workspace_tags)});
  }
  writes.Add(kSucceed, {id});
  return transaction.Execute(writes).status();
}

absl::StatusOr<CompletedBuild> ScheduleWorkspace(pg::Transaction& transaction, const LockedJob& job,
                                                 absl::Time completed_at,
                                                 const schedule::QuietHoursTerms& quiet_hours) {
  const std::string workspace = job.workspace.ToString();
  ASSIGN_OR_RETURN(const pg::Result rows, transaction.Execute(kScheduleFacts, {workspace}));
  if (rows.empty()) return absl::InternalError("complete build job: no workspace");
  const ScheduleFacts facts = FactsOf(rows[0]);
  const bool deleted = job.transition == BuildTransition::kDelete;
  pg::Pipeline writes;
  if (job.transition == BuildTransition::kStart) {
    const std::optional<absl::Time> max_deadline = facts.MaxDeadline(quiet_hours, completed_at);
    const auto deadline =
        schedule::DeadlineAfterStart({.completed_at = completed_at,
                                      .ttl = facts.ttl,
                                      .autostart = facts.autostart,
                                      .autostart_allowed_days = facts.allowed_days,
                                      .max_deadline = max_deadline});
    writes.Add(kSetDeadline, {job.build->ToString(), deadline, max_deadline});
  }
  // A slot that came due while the build was being done is still to be decided.
  auto next_start =
      deleted ? std::nullopt : facts.NextStart(rows[0].Get<absl::Time>("build_created_at"));
  if (next_start) *next_start += schedule::SpreadOffset(workspace, facts.spread);
  writes.Add(kFinishWorkspace, {workspace, next_start, deleted});
  RETURN_IF_ERROR(transaction.Execute(writes).status());
  return CompletedBuild{
      .reason = WordFromColumn(lifecycle::ParseBuildReason, rows.Get<std::string>(0, "reason")),
      .completed_at = completed_at,
      .due_at = DueAt(rows[0], job.workspace)};
}

absl::StatusOr<std::optional<CompletedBuild>> Build(pg::Transaction& transaction,
                                                    const LeaseClaim& claim,
                                                    std::vector<ResourceRecord> resources,
                                                    const std::vector<StageTiming>& timings,
                                                    ids::UuidV7Generator& ids,
                                                    const schedule::QuietHoursTerms& quiet_hours) {
  constexpr absl::string_view kAttempt = "complete build job";
  ASSIGN_OR_RETURN(const LockedJob job, LockClaimedJob(transaction, claim, kAttempt));
  ASSIGN_OR_RETURN(const bool go_on, MayEnd(job, claim, JobType::kWorkspaceBuild, kAttempt));
  if (!go_on) return std::nullopt;
  for (ResourceRecord& resource : resources) resource.transition = job.transition;
  pg::Pipeline writes;
  AddResources(writes, claim.job, resources, ids);
  AddTimings(writes, claim.job, timings);
  writes.Add(kSucceed, {claim.job.ToString()});
  ASSIGN_OR_RETURN(const std::vector<pg::Result> written, transaction.Execute(writes));
  ASSIGN_OR_RETURN(
      CompletedBuild completed,
      ScheduleWorkspace(transaction, job, written.back().Get<absl::Time>(0, 0), quiet_hours));
  RETURN_IF_ERROR(WriteBuildEvent(transaction, *job.build, BuildEventKind::kStatusChanged));
  return completed;
}

absl::Status Fail(pg::Transaction& transaction, const LeaseClaim& claim, const JobFailure& failure,
                  const std::vector<StageTiming>& timings) {
  constexpr absl::string_view kAttempt = "fail job";
  ASSIGN_OR_RETURN(const LockedJob job, LockClaimedJob(transaction, claim, kAttempt));
  if (!job.token_matches || job.reaped) return LeaseLost(kAttempt, claim);
  if (job.status == JobStatus::kFailed || job.status == JobStatus::kCanceled) {
    return absl::OkStatus();
  }
  if (!job.held()) return LeaseLost(kAttempt, claim);
  pg::Pipeline writes;
  AddTimings(writes, claim.job, timings);
  writes.Add(kFail, {claim.job.ToString(), failure.error, failure.error_code, failure.canceled});
  RETURN_IF_ERROR(transaction.Execute(writes).status());
  if (!job.build) return absl::OkStatus();
  return WriteBuildEvent(transaction, *job.build, BuildEventKind::kStatusChanged);
}

}  // namespace

absl::Status PgJobStore::CompleteImport(const LeaseClaim& claim, const ImportOutcome& outcome,
                                        const std::vector<StageTiming>& timings,
                                        clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Import(transaction, claim, outcome, timings, ids_);
  });
}

absl::StatusOr<std::optional<CompletedBuild>> PgJobStore::CompleteBuild(
    const LeaseClaim& claim, const std::vector<ResourceRecord>& resources,
    const std::vector<StageTiming>& timings, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Build(transaction, claim, resources, timings, ids_, quiet_hours_);
  });
}

absl::Status PgJobStore::FailJob(const LeaseClaim& claim, const JobFailure& failure,
                                 const std::vector<StageTiming>& timings,
                                 clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline}, [&](pg::Transaction& transaction) {
    return Fail(transaction, claim, failure, timings);
  });
}

}  // namespace coder::storage
