#include "libs/storage/postgres/template_version_rows.h"

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

using lifecycle::JobStatus;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;

constexpr char kOne[] = CODER_TEMPLATE_VERSION_SQL("v.readme") "WHERE v.id = $1";

constexpr char kLock[] = R"sql(
  SELECT v.template_id, v.organization_id, v.job_id, v.archived_at IS NOT NULL AS archived,
    j.provisioner, j.status, j.error
  FROM template_versions v JOIN provisioner_jobs j ON j.id = v.job_id
  WHERE v.id = $1 FOR UPDATE OF v)sql";

template <typename Id>
std::optional<Id> OptionalId(const pg::Result::Row& row, std::string_view column) {
  const auto text = row.Get<std::optional<std::string>>(column);
  return text ? std::optional(IdFromColumn<Id>(*text)) : std::nullopt;
}

JobView ImportOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  const auto time = [&row](std::string_view column) {
    return row.Get<std::optional<absl::Time>>(column);
  };
  JobView job;
  job.id = IdFromColumn<lifecycle::JobId>(text("job_id"));
  job.type = lifecycle::JobType::kTemplateVersionImport;
  job.status = WordFromColumn(lifecycle::ParseJobStatus, text("status"));
  job.organization = IdFromColumn<lifecycle::OrganizationId>(text("organization_id"));
  job.initiator = IdFromColumn<lifecycle::UserId>(text("initiator_id"));
  job.owner = IdFromColumn<lifecycle::UserId>(text("created_by"));
  job.provisioner = text("provisioner");
  job.tags = TagsFromJson(text("tags"));
  job.created_at = row.Get<absl::Time>("job_created_at");
  job.started_at = time("started_at");
  job.canceled_at = time("canceled_at");
  job.completed_at = time("completed_at");
  job.error = text("error");
  job.error_code = text("error_code");
  job.worker = OptionalId<lifecycle::ProvisionerDaemonId>(row, "worker_id");
  job.worker_name = text("worker_name");
  job.logs_overflowed = row.Get<bool>("logs_overflowed");
  job.matching_provisioners = row.Get<int32_t>("matching");
  job.version = IdFromColumn<TemplateVersionId>(text("id"));
  job.template_id = OptionalId<TemplateId>(row, "template_id");
  return job;
}

absl::Status NotBuildable(absl::string_view attempt, absl::string_view cause,
                          absl::string_view reason) {
  return status::WithReason(absl::FailedPreconditionError(absl::StrCat(attempt, ": ", cause)),
                            reason);
}

absl::Status NoSuchVersion(TemplateVersionId id) {
  return auth::NotFound(absl::StrCat("template version ", id.ToString()));
}

}  // namespace

TemplateVersionRecord VersionOf(const pg::Result::Row& row) {
  TemplateVersionRecord version;
  version.id = IdFromColumn<TemplateVersionId>(row.Get<std::string>("id"));
  version.template_id = OptionalId<TemplateId>(row, "template_id");
  version.organization =
      IdFromColumn<lifecycle::OrganizationId>(row.Get<std::string>("organization_id"));
  version.name = row.Get<std::string>("name");
  version.message = row.Get<std::string>("message");
  version.readme = row.Get<std::string>("readme");
  version.job = ImportOf(row);
  version.creator = IdFromColumn<lifecycle::UserId>(row.Get<std::string>("created_by"));
  version.created_at = row.Get<absl::Time>("created_at");
  version.archived_at = row.Get<std::optional<absl::Time>>("archived_at");
  return version;
}

absl::StatusOr<TemplateVersionRecord> ReadVersion(pg::Transaction& tx, TemplateVersionId id) {
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kOne, {id.ToString()}));
  if (found.empty()) return NoSuchVersion(id);
  return VersionOf(found[0]);
}

absl::StatusOr<LockedVersion> LockVersion(pg::Transaction& tx, TemplateVersionId id) {
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kLock, {id.ToString()}));
  if (found.empty()) return NoSuchVersion(id);
  const pg::Result::Row row = found[0];
  return LockedVersion{
      .id = id,
      .template_id = OptionalId<TemplateId>(row, "template_id"),
      .organization =
          IdFromColumn<lifecycle::OrganizationId>(row.Get<std::string>("organization_id")),
      .job = IdFromColumn<lifecycle::JobId>(row.Get<std::string>("job_id")),
      .provisioner = row.Get<std::string>("provisioner"),
      .import_status = WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status")),
      .import_error = row.Get<std::string>("error"),
      .archived = row.Get<bool>("archived")};
}

absl::Status CheckBuildable(const LockedVersion& version, absl::string_view attempt) {
  const std::string id = version.id.ToString();
  if (!lifecycle::IsFinal(version.import_status)) {
    return NotBuildable(
        attempt,
        absl::StrCat("the import of version ", id, " is ",
                     lifecycle::ToString(version.import_status), "; wait until it has succeeded"),
        "IMPORT_NOT_FINISHED");
  }
  if (version.import_status == JobStatus::kFailed) {
    return NotBuildable(attempt,
                        absl::StrCat("the import of version ", id, " failed: ",
                                     version.import_error, "; correct the template and upload it"),
                        "IMPORT_FAILED");
  }
  if (version.import_status == JobStatus::kCanceled) {
    return NotBuildable(
        attempt, absl::StrCat("the import of version ", id, " was canceled; make a new version"),
        "IMPORT_FAILED");
  }
  if (version.archived) {
    return NotBuildable(attempt,
                        absl::StrCat("version ", id, " is archived; bring it back or use another"),
                        "VERSION_ARCHIVED");
  }
  return absl::OkStatus();
}

}  // namespace coder::storage
