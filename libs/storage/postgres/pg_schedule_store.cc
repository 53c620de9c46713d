#include "libs/storage/postgres/pg_schedule_store.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/pg/pipeline.h"
#include "libs/pg/transaction.h"
#include "libs/schedule/activity_bump.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/cron.h"
#include "libs/schedule/ttl.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/lifecycle_candidates.h"
#include "libs/storage/postgres/lifecycle_rows.h"

namespace coder::storage {
namespace {

using lifecycle::TemplateId;
using lifecycle::UserId;
using lifecycle::WorkspaceId;

constexpr char kDatabaseTime[] = "SELECT clock_timestamp()";
constexpr char kLock[] = "SELECT 1 FROM workspaces WHERE id = $1 FOR UPDATE";

constexpr char kSetSkip[] = R"sql(
UPDATE workspaces SET autostart_skip_until = $2, revision = revision + 1, updated_at = now()
WHERE id = $1)sql";

constexpr char kTemplate[] = R"sql(
SELECT t.organization_id, t.allow_user_autostart, t.autostart_allowed_days::int AS allowed_days,
  t.autostart_catch_up, clock_timestamp() AS now, k.first_days, k.last_days, k.reasons
FROM templates t
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(x.first_day::text ORDER BY x.id), '{}') AS first_days,
    coalesce(array_agg(x.last_day::text ORDER BY x.id), '{}') AS last_days,
    coalesce(array_agg(x.reason ORDER BY x.id), '{}') AS reasons
  FROM autostart_blackouts x
  WHERE x.organization_id = t.organization_id AND (x.template_id IS NULL OR x.template_id = t.id)
    AND x.last_day >= current_date - 1) k
WHERE t.id = $1 AND t.deleted_at IS NULL)sql";

// An agent of $2 in the latest build's resources; any when $2 is empty.
constexpr char kUse[] = R"sql(
SELECT b.id AS build_id, b.transition, j.status, b.deadline, b.max_deadline, t.activity_bump,
  w.ttl, t.default_ttl, t.allow_user_autostop, t.allow_user_autostart,
  t.autostart_allowed_days::int AS allowed_days, w.last_used_at,
  coalesce(w.autostart_schedule, '') AS autostart_schedule, clock_timestamp() AS now,
  $2 = '' OR EXISTS (
    SELECT FROM workspace_resources r JOIN workspace_agents a ON a.resource_id = r.id
    WHERE r.job_id = b.job_id AND a.name = $2) AS agent_known
FROM workspaces w
JOIN workspace_builds b ON b.id = w.latest_build_id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN templates t ON t.id = w.template_id
WHERE w.id = $1 AND w.deleted_at IS NULL)sql";

constexpr char kNoteUse[] =
    "UPDATE workspaces SET last_used_at = clock_timestamp(), updated_at = now() WHERE id = $1";

constexpr char kMoveDeadline[] =
    "UPDATE workspace_builds SET deadline = $2, updated_at = now() WHERE id = $1";

constexpr char kQuietHours[] =
    "SELECT quiet_hours_schedule FROM users WHERE id = $1 AND deleted_at IS NULL";

constexpr char kSetQuietHours[] = R"sql(
UPDATE users SET quiet_hours_schedule = $2, revision = revision + 1, updated_at = now()
WHERE id = $1 AND deleted_at IS NULL)sql";

absl::Status NoWorkspace(const WorkspaceId& id) {
  return absl::NotFoundError(absl::StrCat("find workspace ", id.ToString(), ": there is none"));
}

absl::Status NoUser() { return absl::NotFoundError("find user: no such user exists"); }

absl::Status NoSchedule(absl::string_view why) {
  return status::WithReason(
      absl::FailedPreconditionError(absl::StrCat("leave out autostarts: ", why)), "NO_SCHEDULE");
}

absl::Status NotRunning() {
  return status::WithReason(
      absl::FailedPreconditionError("record activity: the workspace is not running; start it"),
      "NOT_RUNNING");
}

absl::Status NoAgent(const std::string& agent) {
  const std::string why = absl::StrCat("\"", agent, "\" is no agent of the latest build");
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("record activity: agent ", why)), "agent", why);
}

absl::StatusOr<LifecycleRow> Locked(pg::Transaction& tx, const WorkspaceId& id, absl::Time& now) {
  const std::vector<std::string> ids = {id.ToString()};
  ASSIGN_OR_RETURN(const std::vector<pg::Result> read,
                   tx.Execute(pg::Pipeline()
                                  .Add(kLock, {id.ToString()})
                                  .Add(kDatabaseTime)
                                  .Add(LifecycleRowsSql(), {ids}, pg::Plan::kFresh)));
  now = read[1].Get<absl::Time>(0, 0);
  if (read[2].empty()) return NoWorkspace(id);
  LifecycleRow row = ReadLifecycleRow(read[2][0]);
  if (row.snapshot.deleted) return NoWorkspace(id);
  return row;
}

absl::StatusOr<SkippedStarts> Skip(pg::Transaction& tx, const WorkspaceId& id, int count) {
  absl::Time now;
  ASSIGN_OR_RETURN(const LifecycleRow row, Locked(tx, id, now));
  const auto cron = schedule::Cron::ParseWeekly(row.snapshot.autostart_schedule);
  if (row.snapshot.autostart_schedule.empty() || !cron.ok()) {
    return NoSchedule("the workspace does not start by itself; set a schedule first");
  }
  // What is spread and has not started yet is still to come.
  SkippedStarts skipped;
  absl::Time at = now - row.snapshot.autostart_offset;
  if (row.snapshot.autostart_decided_until)
    at = std::max(at, *row.snapshot.autostart_decided_until);
  for (int i = 0; i <= count; ++i) {
    const auto next =
        schedule::NextAllowedAutostart(at, *cron, row.snapshot.policy.autostart_allowed_days);
    if (!next.ok()) return NoSchedule(next.status().message());
    at = *next;
    if (i + 1 == count) skipped.until = at;
  }
  skipped.next = at;
  RETURN_IF_ERROR(tx.Execute(kSetSkip, {id.ToString(), skipped.until}).status());
  return skipped;
}

// What a use at the row's moment does.
struct Use {
  std::optional<absl::Time> new_deadline;
  bool note = false;
};

std::optional<absl::Time> NextAutostart(const pg::Result::Row& row) {
  const auto cron = schedule::Cron::ParseWeekly(row.Get<std::string>("autostart_schedule"));
  if (!cron.ok() || !row.Get<bool>("allow_user_autostart")) return std::nullopt;
  const auto next = schedule::NextAllowedAutostart(
      row.Get<absl::Time>("now"), *cron,
      static_cast<schedule::DaysOfWeek>(row.Get<int32_t>("allowed_days")));
  return next.ok() ? std::optional(*next) : std::nullopt;
}

absl::StatusOr<Use> UseOf(const pg::Result::Row& row, const std::string& agent) {
  using MaybeDuration = std::optional<absl::Duration>;
  using MaybeTime = std::optional<absl::Time>;
  schedule::Activity activity;
  activity.now = row.Get<absl::Time>("now");
  activity.transition =
      WordFromColumn(lifecycle::ParseBuildTransition, row.Get<std::string>("transition"));
  activity.job_status = WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status"));
  if (lifecycle::DeriveWorkspaceStatus(activity.transition, activity.job_status) !=
      lifecycle::WorkspaceStatus::kRunning) {
    return NotRunning();
  }
  if (!row.Get<bool>("agent_known")) return NoAgent(agent);
  activity.deadline = row.Get<MaybeTime>("deadline");
  activity.max_deadline = row.Get<MaybeTime>("max_deadline");
  activity.bump = row.Get<absl::Duration>("activity_bump");
  activity.ttl =
      schedule::EffectiveTtl(row.Get<MaybeDuration>("ttl"), row.Get<MaybeDuration>("default_ttl"),
                             row.Get<bool>("allow_user_autostop"));
  activity.next_autostart = NextAutostart(row);
  return Use{.new_deadline = schedule::DeadlineAfterActivity(activity),
             .note = activity.now - row.Get<absl::Time>("last_used_at") >= kUseResolution};
}

absl::StatusOr<RecordedActivity> Record(pg::Transaction& tx, const WorkspaceId& id,
                                        const std::string& agent, bool locked) {
  if (locked) RETURN_IF_ERROR(tx.Execute(kLock, {id.ToString()}).status());
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(kUse, {id.ToString(), agent}));
  if (rows.empty()) return NoWorkspace(id);
  ASSIGN_OR_RETURN(const Use use, UseOf(rows[0], agent));
  RecordedActivity recorded{.deadline = rows.Get<std::optional<absl::Time>>(0, "deadline"),
                            .max_deadline = rows.Get<std::optional<absl::Time>>(0, "max_deadline")};
  if (!use.new_deadline && !use.note) return recorded;
  // Nothing is decided on what was read without the lock.
  if (!locked) return Record(tx, id, agent, true);
  pg::Pipeline writes;
  if (use.note) writes.Add(kNoteUse, {id.ToString()});
  if (use.new_deadline) {
    writes.Add(kMoveDeadline, {rows.Get<std::string>(0, "build_id"), *use.new_deadline});
    recorded.deadline_moved = true;
    recorded.deadline = use.new_deadline;
  }
  RETURN_IF_ERROR(tx.Execute(writes).status());
  return recorded;
}

}  // namespace

absl::StatusOr<ScheduleView> PgScheduleStore::View(const WorkspaceId& id,
                                                   clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline}, [&](pg::Transaction& tx) -> absl::StatusOr<ScheduleView> {
        const std::vector<std::string> ids = {id.ToString()};
        ASSIGN_OR_RETURN(const std::vector<pg::Result> read,
                         tx.Execute(pg::Pipeline()
                                        .Add(kDatabaseTime)
                                        .Add(LifecycleRowsSql(), {ids}, pg::Plan::kFresh)));
        if (read[1].empty()) return NoWorkspace(id);
        return ScheduleView{.snapshot = ReadLifecycleRow(read[1][0]).snapshot,
                            .now = read[0].Get<absl::Time>(0, 0)};
      });
}

absl::StatusOr<TemplateSchedule> PgScheduleStore::ViewTemplate(const TemplateId& id,
                                                               clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kTemplate, {id.ToString()}, deadline));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("find template ", id.ToString(), ": there is none"));
  }
  TemplateSchedule view;
  view.organization =
      IdFromColumn<lifecycle::OrganizationId>(rows.Get<std::string>(0, "organization_id"));
  view.policy.allow_user_autostart = rows.Get<bool>(0, "allow_user_autostart");
  view.policy.autostart_allowed_days =
      static_cast<schedule::DaysOfWeek>(rows.Get<int32_t>(0, "allowed_days"));
  view.policy.autostart_catch_up = rows.Get<absl::Duration>(0, "autostart_catch_up");
  view.blackouts = ReadBlackouts(rows[0]);
  view.now = rows.Get<absl::Time>(0, "now");
  return view;
}

absl::StatusOr<SkippedStarts> PgScheduleStore::SkipStarts(const WorkspaceId& id, int count,
                                                          clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return Skip(tx, id, count); });
}

absl::StatusOr<RecordedActivity> PgScheduleStore::RecordActivity(const WorkspaceId& id,
                                                                 const std::string& agent,
                                                                 clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) { return Record(tx, id, agent, false); });
}

absl::StatusOr<std::optional<std::string>> PgScheduleStore::QuietHours(const UserId& user,
                                                                       clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kQuietHours, {user.ToString()}, deadline));
  if (rows.empty()) return NoUser();
  return rows.Get<std::optional<std::string>>(0, 0);
}

absl::Status PgScheduleStore::SetQuietHours(const UserId& user,
                                            const std::optional<std::string>& schedule,
                                            clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result updated,
                   pool_.Execute(kSetQuietHours, {user.ToString(), schedule}, deadline));
  return updated.affected() == 0 ? NoUser() : absl::OkStatus();
}

}  // namespace coder::storage
