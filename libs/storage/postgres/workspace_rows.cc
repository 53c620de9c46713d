#include "libs/storage/postgres/workspace_rows.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

// Who could run a job matters only while it has not ended.
constexpr absl::string_view kSelect = R"sql(
SELECT b.id AS build_id, b.build_number, b.template_version_id, v.name AS version_name,
  b.transition, b.reason, b.initiator_id, initiator.username AS initiator_name, b.deadline,
  b.max_deadline, b.created_at AS build_created_at,
  b.late_state IS NOT NULL AND b.late_state_resolution IS NULL AS late_state_pending,
  j.id AS job_id, j.status, j.provisioner, j.tags, j.created_at AS job_created_at, j.started_at,
  j.canceled_at, j.completed_at, j.error, j.error_code, j.worker_id,
  coalesce(d.name, '') AS worker_name, j.logs_overflowed,
  CASE WHEN j.completed_at IS NOT NULL THEN 0 ELSE (
    SELECT count(*) FROM provisioner_daemons p
    JOIN provisioner_keys k ON k.id = p.key_id AND k.revoked_at IS NULL
    WHERE p.organization_id = j.organization_id AND j.provisioner = ANY(p.provisioners)
    AND p.last_seen_at > now() - interval '90 seconds'
    AND provisioner_tags_match(p.tags, j.tags)) END::int AS matching,
  w.id AS workspace_id, w.name AS workspace_name, w.organization_id, o.name AS organization_name,
  w.owner_id, owner.username AS owner_name, w.template_id, t.name AS template_name,
  t.allow_user_cancel_workspace_jobs, b.template_version_id <> t.active_version_id AS outdated,
  coalesce(w.autostart_schedule, '') AS autostart_schedule, w.next_start_at, w.ttl,
  w.autostart_skip_until,
  w.automatic_updates, w.last_used_at, w.dormant_at, w.deleting_at,
  w.deleted_at IS NOT NULL AS deleted, w.created_at, w.updated_at, w.revision
FROM workspaces w
JOIN workspace_builds b ON b.workspace_id = w.id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN template_versions v ON v.id = b.template_version_id
JOIN templates t ON t.id = w.template_id
JOIN organizations o ON o.id = w.organization_id
JOIN users owner ON owner.id = w.owner_id
JOIN users initiator ON initiator.id = b.initiator_id
LEFT JOIN provisioner_daemons d ON d.id = j.worker_id
)sql";

using MaybeTime = std::optional<absl::Time>;

JobView JobOf(const pg::Result::Row& row) {
  JobView job;
  job.id = IdFromColumn<lifecycle::JobId>(row.Get<std::string>("job_id"));
  job.type = lifecycle::JobType::kWorkspaceBuild;
  job.status = WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status"));
  job.organization =
      IdFromColumn<lifecycle::OrganizationId>(row.Get<std::string>("organization_id"));
  job.initiator = IdFromColumn<lifecycle::UserId>(row.Get<std::string>("initiator_id"));
  job.owner = IdFromColumn<lifecycle::UserId>(row.Get<std::string>("owner_id"));
  job.provisioner = row.Get<std::string>("provisioner");
  job.tags = TagsFromJson(row.Get<std::string>("tags"));
  job.created_at = row.Get<absl::Time>("job_created_at");
  job.started_at = row.Get<MaybeTime>("started_at");
  job.canceled_at = row.Get<MaybeTime>("canceled_at");
  job.completed_at = row.Get<MaybeTime>("completed_at");
  job.error = row.Get<std::string>("error");
  job.error_code = row.Get<std::string>("error_code");
  if (const auto worker = row.Get<std::optional<std::string>>("worker_id")) {
    job.worker = IdFromColumn<lifecycle::ProvisionerDaemonId>(*worker);
  }
  job.worker_name = row.Get<std::string>("worker_name");
  job.logs_overflowed = row.Get<bool>("logs_overflowed");
  job.matching_provisioners = row.Get<int32_t>("matching");
  job.build = IdFromColumn<lifecycle::BuildId>(row.Get<std::string>("build_id"));
  job.template_id = IdFromColumn<lifecycle::TemplateId>(row.Get<std::string>("template_id"));
  return job;
}

}  // namespace

std::string SelectBuilds(absl::string_view tail) { return absl::StrCat(kSelect, tail); }

std::string SelectWorkspaces(absl::string_view tail) {
  return absl::StrCat(kSelect, "WHERE b.id = w.latest_build_id ", tail);
}

BuildRecord BuildOf(const pg::Result::Row& row) {
  BuildRecord build;
  build.job = JobOf(row);
  build.id = *build.job.build;
  build.workspace = IdFromColumn<lifecycle::WorkspaceId>(row.Get<std::string>("workspace_id"));
  build.workspace_name = row.Get<std::string>("workspace_name");
  build.organization = build.job.organization;
  build.owner = build.job.owner;
  build.owner_name = row.Get<std::string>("owner_name");
  build.template_id = *build.job.template_id;
  build.number = row.Get<int32_t>("build_number");
  build.version =
      IdFromColumn<lifecycle::TemplateVersionId>(row.Get<std::string>("template_version_id"));
  build.version_name = row.Get<std::string>("version_name");
  build.transition =
      WordFromColumn(lifecycle::ParseBuildTransition, row.Get<std::string>("transition"));
  build.reason = WordFromColumn(lifecycle::ParseBuildReason, row.Get<std::string>("reason"));
  build.initiator = build.job.initiator;
  build.initiator_name = row.Get<std::string>("initiator_name");
  build.deadline = row.Get<MaybeTime>("deadline");
  build.max_deadline = row.Get<MaybeTime>("max_deadline");
  build.late_state_pending = row.Get<bool>("late_state_pending");
  build.allow_user_cancel = row.Get<bool>("allow_user_cancel_workspace_jobs");
  build.created_at = row.Get<absl::Time>("build_created_at");
  return build;
}

WorkspaceRecord WorkspaceOf(const pg::Result::Row& row) {
  WorkspaceRecord workspace;
  workspace.latest_build = BuildOf(row);
  workspace.id = workspace.latest_build.workspace;
  workspace.owner = workspace.latest_build.owner;
  workspace.owner_name = workspace.latest_build.owner_name;
  workspace.organization = workspace.latest_build.organization;
  workspace.organization_name = row.Get<std::string>("organization_name");
  workspace.template_id = workspace.latest_build.template_id;
  workspace.template_name = row.Get<std::string>("template_name");
  workspace.name = workspace.latest_build.workspace_name;
  workspace.outdated = row.Get<bool>("outdated");
  workspace.autostart_schedule = row.Get<std::string>("autostart_schedule");
  workspace.next_start_at = row.Get<MaybeTime>("next_start_at");
  workspace.autostart_skip_until = row.Get<MaybeTime>("autostart_skip_until");
  workspace.ttl = row.Get<std::optional<absl::Duration>>("ttl");
  workspace.automatic_updates =
      WordFromColumn(lifecycle::ParseAutomaticUpdates, row.Get<std::string>("automatic_updates"));
  workspace.last_used_at = row.Get<absl::Time>("last_used_at");
  workspace.dormant_at = row.Get<MaybeTime>("dormant_at");
  workspace.deleting_at = row.Get<MaybeTime>("deleting_at");
  workspace.deleted = row.Get<bool>("deleted");
  workspace.created_at = row.Get<absl::Time>("created_at");
  workspace.updated_at = row.Get<absl::Time>("updated_at");
  workspace.revision = row.Get<int64_t>("revision");
  return workspace;
}

}  // namespace coder::storage
