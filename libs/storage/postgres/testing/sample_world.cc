#include "libs/storage/postgres/testing/sample_world.h"

#include "libs/auth/token.h"

namespace coder::storage {

using lifecycle::BuildId;
using lifecycle::TemplateVersionId;
using lifecycle::UserId;
using lifecycle::WorkspaceId;

SampleWorld::SampleWorld(pg::Pool& pool) : identities(pool) {
  organization = identities.AddOrganization("acme");
  owner = AddUser("ada");
  other = AddUser("bob");
  file = NewId<lifecycle::FileId>();
  Run("INSERT INTO files (id, sha256, created_by, media_type, data) "
      "VALUES ($1, sha256('x'), $2, 'application/x-tar', 'x')",
      {file.ToString(), owner.ToString()});
  version = AddVersion("v1");
  template_id = NewId<lifecycle::TemplateId>();
  Run("INSERT INTO templates (id, organization_id, name, provisioner, active_version_id, "
      "created_by) VALUES ($1, $2, 'go', 'echo', $3, $4)",
      {template_id.ToString(), organization.ToString(), version.ToString(), owner.ToString()});
  Run("UPDATE template_versions SET template_id = $1 WHERE id = $2",
      {template_id.ToString(), version.ToString()});
}

UserId SampleWorld::AddUser(const std::string& username) {
  const UserId id = identities.AddUser(username);
  identities.AddMember(organization, id);
  return id;
}

TemplateVersionId SampleWorld::AddVersion(const std::string& name,
                                          const std::string& import_status) {
  const auto job = NewId<lifecycle::JobId>();
  Run("INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, "
      "file_id, tags, queue_at, completed_at, error) VALUES ($1, $2, $3, "
      "'template_version_import', 'echo', $4, '{\"scope\": \"organization\", \"owner\": \"\"}', "
      "now(), CASE WHEN $5::text <> 'pending' THEN now() END, "
      "CASE WHEN $5::text = 'failed' THEN 'no such module' ELSE '' END)",
      {job.ToString(), organization.ToString(), owner.ToString(), file.ToString(), import_status});
  const auto id = NewId<TemplateVersionId>();
  Run("INSERT INTO template_versions (id, template_id, organization_id, name, job_id, created_by) "
      "VALUES ($1, $2, $3, $4, $5, $6)",
      {id.ToString(),
       template_id.IsNil() ? pg::Param(std::nullopt) : pg::Param(template_id.ToString()),
       organization.ToString(), name, job.ToString(), owner.ToString()});
  return id;
}

WorkspaceId SampleWorld::AddWorkspace(const std::string& name) { return AddWorkspace(name, owner); }

WorkspaceId SampleWorld::AddWorkspace(const std::string& name, const UserId& of) {
  const auto id = NewId<WorkspaceId>();
  Run("INSERT INTO workspaces (id, owner_id, organization_id, template_id, name) "
      "VALUES ($1, $2, $3, $4, $5)",
      {id.ToString(), of.ToString(), organization.ToString(), template_id.ToString(), name});
  return id;
}

BuildId SampleWorld::AddBuild(const WorkspaceId& workspace, const std::string& transition) {
  const auto job = NewId<lifecycle::JobId>();
  const auto build = NewId<BuildId>();
  Run("INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, "
      "file_id, tags, queue_at) VALUES ($1, $2, $3, 'workspace_build', 'echo', $4, "
      "'{\"scope\": \"organization\", \"owner\": \"\"}', now())",
      {job.ToString(), organization.ToString(), owner.ToString(), file.ToString()});
  Run("INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, "
      "transition, reason, initiator_id, job_id) VALUES ($1, $2, (SELECT "
      "coalesce(max(build_number), 0) + 1 FROM workspace_builds WHERE workspace_id = $2), $3, $4, "
      "'initiator', $5, $6)",
      {build.ToString(), workspace.ToString(), version.ToString(), transition, owner.ToString(),
       job.ToString()});
  Run("UPDATE workspaces SET latest_build_id = $1 WHERE id = $2",
      {build.ToString(), workspace.ToString()});
  return build;
}

void SampleWorld::MoveJob(const BuildId& build, const std::string& status) {
  Run("UPDATE provisioner_jobs SET "
      "started_at = coalesce(started_at, now()), "
      "lease_token = coalesce(lease_token, gen_random_uuid()), "
      "lease_expires_at = coalesce(lease_expires_at, now() + interval '30 seconds'), "
      "canceled_at = CASE WHEN $2::text = 'canceled' THEN now() "
      "WHEN $2::text = 'succeeded' THEN NULL ELSE canceled_at END, "
      "completed_at = CASE WHEN $2::text <> 'running' THEN now() END, "
      "error = CASE WHEN $2::text = 'failed' THEN 'apply: out of disk' ELSE '' END "
      "WHERE id = (SELECT job_id FROM workspace_builds WHERE id = $1)",
      {build.ToString(), status});
}

lifecycle::ProvisionerDaemonId SampleWorld::AddDaemon(absl::Duration seen_ago) {
  const auto id = NewId<lifecycle::ProvisionerDaemonId>();
  const auto key =
      identities.AddProvisionerKey(auth::GenerateProvisionerKey().secret_hash, organization, owner);
  Run("INSERT INTO provisioner_daemons (id, organization_id, key_id, name, provisioners, tags, "
      "slots, last_seen_at) VALUES ($1, $2, $3, $4, '{echo}', '{}', 1, now() - $5::interval)",
      {id.ToString(), organization.ToString(), key.ToString(), id.ToString(), seen_ago});
  return id;
}

std::string SampleWorld::JobStatus(const std::string& job_id) {
  return Run("SELECT status FROM provisioner_jobs WHERE id = $1", {job_id}).Get<std::string>(0, 0);
}

}  // namespace coder::storage
