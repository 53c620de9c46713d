#include "libs/storage/postgres/lifecycle_rows.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/lifecycle/types.h"
#include "libs/schedule/autostart.h"
#include "libs/schedule/cron.h"

namespace coder::storage {
namespace {

constexpr char kColumns[] = R"sql(
SELECT w.id, w.owner_id, w.organization_id, w.deleted_at IS NOT NULL AS deleted, u.status AS owner_status,
  b.transition, j.status AS job_status, b.created_at AS build_created_at,
  j.completed_at AS job_completed_at, b.deadline, w.autostart_schedule, w.autostart_set_at,
  d.decided_until,
  w.last_used_at, w.dormant_at, w.deleting_at, w.next_start_at, t.allow_user_autostart,
  t.autostart_allowed_days::int AS allowed_days, t.autostart_catch_up, t.failure_ttl,
  t.time_til_dormant, t.time_til_dormant_autodelete
FROM )sql";

// A start that found no provisioner is still open within the catch-up window.
constexpr char kJoins[] = R"sql(
JOIN users u ON u.id = w.owner_id
JOIN workspace_builds b ON b.id = w.latest_build_id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN templates t ON t.id = w.template_id
LEFT JOIN LATERAL (
  SELECT o.nominal_at AS decided_until FROM lifecycle_outcomes o
  WHERE o.workspace_id = w.id AND o.kind = 'autostart'
    AND NOT (o.outcome = 'skipped' AND o.reason = 'NO_PROVISIONER')
  ORDER BY o.nominal_at DESC LIMIT 1) d ON true
)sql";

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
  return policy;
}

}  // namespace

std::string SelectLifecycleRows(absl::string_view with, absl::string_view from,
                                absl::string_view rest) {
  return absl::StrCat(with, kColumns, from, kJoins, rest);
}

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
  return next.ok() ? std::optional(*next) : std::nullopt;
}

}  // namespace coder::storage
