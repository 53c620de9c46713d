#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/transaction.h"
#include "libs/storage/template_records.h"

namespace coder::storage {

/// The columns VersionOf reads, with the readme or without, up to and without WHERE: the version is
/// `v`, its job `j`.
#define CODER_TEMPLATE_VERSION_SQL(readme)                                                \
  "SELECT v.id, v.template_id, v.organization_id, v.name, v.message, " readme             \
  " AS readme, v.created_by, v.created_at, v.archived_at, j.id AS job_id, j.status,"      \
  " j.initiator_id, j.provisioner, j.tags, j.created_at AS job_created_at, j.started_at," \
  " j.canceled_at, j.completed_at, j.error, j.error_code, j.worker_id,"                   \
  " coalesce(d.name, '') AS worker_name, j.logs_overflowed,"                              \
  " (SELECT count(*) FROM provisioner_daemons p"                                          \
  "  JOIN provisioner_keys k ON k.id = p.key_id AND k.revoked_at IS NULL"                 \
  "  WHERE p.organization_id = j.organization_id AND j.provisioner = ANY(p.provisioners)" \
  "  AND p.last_seen_at > now() - interval '90 seconds'"                                  \
  "  AND provisioner_tags_match(p.tags, j.tags))::int AS matching"                        \
  " FROM template_versions v JOIN provisioner_jobs j ON j.id = v.job_id"                  \
  " LEFT JOIN provisioner_daemons d ON d.id = j.worker_id "

/// A version with its job from a row of CODER_TEMPLATE_VERSION_SQL.
TemplateVersionRecord VersionOf(const pg::Result::Row& row);

/// Reads one version. NOT_FOUND when there is none.
absl::StatusOr<TemplateVersionRecord> ReadVersion(pg::Transaction& tx,
                                                  lifecycle::TemplateVersionId id);

/// A version under its row lock.
struct LockedVersion {
  lifecycle::TemplateVersionId id;
  std::optional<lifecycle::TemplateId> template_id;
  lifecycle::OrganizationId organization;
  lifecycle::JobId job;
  std::string provisioner;
  lifecycle::JobStatus import_status = lifecycle::JobStatus::kPending;
  std::string import_error;
  bool archived = false;
};

/// Locks a version, which comes after its template's lock. NOT_FOUND when there is none.
absl::StatusOr<LockedVersion> LockVersion(pg::Transaction& tx, lifecycle::TemplateVersionId id);

/// OK when workspaces can be built from the version; otherwise NOT_BUILDABLE (TemplateStore), with
/// `attempt` first.
absl::Status CheckBuildable(const LockedVersion& version, absl::string_view attempt);

}  // namespace coder::storage
