#include "libs/storage/postgres/lifecycle_rows.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "libs/lifecycle/types.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/cron.h"
#include "libs/schedule/spread.h"

namespace coder::storage {
namespace {

// A start that found no provisioner is still open within the catch-up window. No slot of more than
// 40 days ago is still undecided, but after an outage that long.
constexpr char kRows[] = R"sql(
SELECT w.id, w.owner_id, w.organization_id, w.deleted_at IS NOT NULL AS deleted, u.status AS owner_status,
  b.transition, j.status AS job_status, b.created_at AS build_created_at,
  j.completed_at AS job_completed_at, b.deadline, w.autostart_schedule, w.autostart_set_at,
  d.decided_until,
  w.last_used_at, w.dormant_at, w.deleting_at, w.next_start_at, w.autostart_skip_until,
  b.id AS build_id, t.allow_user_autostart,
  t.autostart_allowed_days::int AS allowed_days, t.autostart_catch_up, t.failure_ttl,
  t.time_til_dormant, t.time_til_dormant_autodelete, t.autostart_spread,
  t.autostart_max_attempts::int AS max_attempts, t.autostart_retry_delay, t.autostop_reminder,
  f.nominal_at AS failed_nominal_at, f.attempt AS failed_attempt,
  k.first_days, k.last_days, k.reasons,
  EXISTS (SELECT FROM lifecycle_outcomes r WHERE r.workspace_id = w.id
    AND r.kind = 'autostop_reminder' AND r.nominal_at = b.deadline) AS reminded
FROM workspaces w
JOIN users u ON u.id = w.owner_id
JOIN workspace_builds b ON b.id = w.latest_build_id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN templates t ON t.id = w.template_id
LEFT JOIN LATERAL (
  SELECT o.nominal_at AS decided_until FROM lifecycle_outcomes o
  WHERE o.workspace_id = w.id AND o.kind = 'autostart'
    AND NOT (o.outcome = 'skipped' AND o.reason = 'NO_PROVISIONER')
  ORDER BY o.nominal_at DESC LIMIT 1) d ON true
LEFT JOIN LATERAL (
  SELECT o.nominal_at, o.attempt FROM lifecycle_outcomes o
  WHERE b.reason = 'autostart' AND j.status = 'failed'
    AND o.build_id = b.id AND o.kind = 'autostart'
    AND NOT EXISTS (SELECT FROM lifecycle_outcomes n
      WHERE n.workspace_id = o.workspace_id AND n.kind = o.kind AND n.nominal_at = o.nominal_at
        AND n.attempt = o.attempt + 1
        AND NOT (n.outcome = 'skipped' AND n.reason = 'NO_PROVISIONER'))
  LIMIT 1) f ON true
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(x.first_day::text ORDER BY x.id), '{}') AS first_days,
    coalesce(array_agg(x.last_day::text ORDER BY x.id), '{}') AS last_days,
    coalesce(array_agg(x.reason ORDER BY x.id), '{}') AS reasons
  FROM autostart_blackouts x
  WHERE x.organization_id = w.organization_id AND x.last_day > current_date - 40
    AND (x.template_id IS NULL OR x.template_id = w.template_id)
    AND w.autostart_schedule IS NOT NULL) k
WHERE w.id = ANY($1::uuid[]) ORDER BY w.id)sql";

lifecycle::TemplatePolicy ReadPolicy(const pg::Result::Row& row) {
  using MaybeDuration = std::optional<absl::Duration>;
  lifecycle::TemplatePolicy policy;
  policy.allow_user_autostart = row.Get<bool>("allow_user_autostart");
  policy.autostart_allowed_days =
      static_cast<schedule::DaysOfWeek>(row.Get<int32_t>("allowed_days"));
  policy.autostart_catch_up = row.Get<absl::Duration>("autostart_catch_up");
  policy.failure_ttl = row.Get<MaybeDuration>("failure_ttl");
  policy.time_til_dormant = row.Get<MaybeDuration>("time_til_dormant");
  policy.time_til_dormant_autodelete = row.Get<MaybeDuration>("time_til_dormant_autodelete");
  policy.autostart_max_attempts = row.Get<int32_t>("max_attempts");
  policy.autostart_retry_delay = row.Get<absl::Duration>("autostart_retry_delay");
  policy.autostop_reminder = row.Get<MaybeDuration>("autostop_reminder");
  return policy;
}

}  // namespace

std::vector<lifecycle::BlackoutDates> ReadBlackouts(const pg::Result::Row& row) {
  const auto first = row.Get<std::vector<std::string>>("first_days");
  const auto last = row.Get<std::vector<std::string>>("last_days");
  const auto reasons = row.Get<std::vector<std::string>>("reasons");
  std::vector<lifecycle::BlackoutDates> blackouts;
  for (size_t i = 0; i < first.size(); ++i) {
    blackouts.push_back({.first = lifecycle::ParseDate("first_day", first[i]).value(),
                         .last = lifecycle::ParseDate("last_day", last[i]).value(),
                         .reason = reasons[i]});
  }
  return blackouts;
}

std::vector<std::string> TextsOf(const std::vector<lifecycle::WorkspaceId>& ids) {
  std::vector<std::string> texts;
  for (const lifecycle::WorkspaceId& id : ids) texts.push_back(id.ToString());
  return texts;
}

const char* LifecycleRowsSql() { return kRows; }

LifecycleRow ReadLifecycleRow(const pg::Result::Row& row) {
  using MaybeTime = std::optional<absl::Time>;
  LifecycleRow read;
  // The words are held to these by CHECKs.
  read.workspace_id = lifecycle::WorkspaceId::Parse(row.Get<std::string>("id")).value();
  read.organization_id =
      lifecycle::OrganizationId::Parse(row.Get<std::string>("organization_id")).value();
  read.owner_id = lifecycle::UserId::Parse(row.Get<std::string>("owner_id")).value();
  lifecycle::LifecycleSnapshot& snapshot = read.snapshot;
  snapshot.deleted = row.Get<bool>("deleted");
  snapshot.owner_status = lifecycle::ParseUserStatus(row.Get<std::string>("owner_status")).value();
  snapshot.transition = lifecycle::ParseBuildTransition(row.Get<std::string>("transition")).value();
  snapshot.job_status = lifecycle::ParseJobStatus(row.Get<std::string>("job_status")).value();
  snapshot.build_created_at = row.Get<absl::Time>("build_created_at");
  snapshot.job_completed_at = row.Get<MaybeTime>("job_completed_at");
  snapshot.deadline = row.Get<MaybeTime>("deadline");
  snapshot.autostart_schedule =
      row.Get<std::optional<std::string>>("autostart_schedule").value_or("");
  snapshot.autostart_set_at = row.Get<absl::Time>("autostart_set_at");
  snapshot.autostart_decided_until = row.Get<MaybeTime>("decided_until");
  snapshot.last_used_at = row.Get<absl::Time>("last_used_at");
  snapshot.dormant_at = row.Get<MaybeTime>("dormant_at");
  snapshot.deleting_at = row.Get<MaybeTime>("deleting_at");
  snapshot.policy = ReadPolicy(row);
  snapshot.autostart_offset = schedule::SpreadOffset(read.workspace_id.ToString(),
                                                     row.Get<absl::Duration>("autostart_spread"));
  snapshot.autostart_skip_until = row.Get<MaybeTime>("autostart_skip_until");
  snapshot.blackouts = ReadBlackouts(row);
  if (const auto failed = row.Get<MaybeTime>("failed_nominal_at")) {
    snapshot.failed_autostart = {*failed, row.Get<int32_t>("failed_attempt")};
  }
  snapshot.autostop_reminded = row.Get<bool>("reminded");
  read.latest_build = lifecycle::BuildId::Parse(row.Get<std::string>("build_id")).value();
  read.next_start_at = row.Get<MaybeTime>("next_start_at");
  return read;
}

std::optional<absl::Time> FirstUndecidedStart(const lifecycle::LifecycleSnapshot& snapshot) {
  if (snapshot.autostart_schedule.empty()) return std::nullopt;
  const auto cron = schedule::Cron::ParseWeekly(snapshot.autostart_schedule);
  if (!cron.ok()) return std::nullopt;
  const absl::Time from = std::max(snapshot.build_created_at,
                                   snapshot.autostart_decided_until.value_or(absl::InfinitePast()));
  const auto next =
      schedule::NextAllowedAutostart(from, *cron, snapshot.policy.autostart_allowed_days);
  return next.ok() ? std::optional(*next + snapshot.autostart_offset) : std::nullopt;
}

}  // namespace coder::storage
