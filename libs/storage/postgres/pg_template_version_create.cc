#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/idempotency.h"
#include "libs/storage/postgres/job_rows.h"
#include "libs/storage/postgres/pg_template_version_store.h"
#include "libs/storage/postgres/template_version_rows.h"

namespace coder::storage {
namespace {

using lifecycle::TemplateVersionId;

// The row locks keep what the version refers to from being deleted before it is there.
constexpr char kOrganization[] =
    "SELECT 1 FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR SHARE";
constexpr char kTemplate[] =
    "SELECT provisioner FROM templates "
    "WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL FOR SHARE";
constexpr char kFile[] = "SELECT 1 FROM files WHERE id = $1 AND created_by = $2";

constexpr char kInsertJob[] = R"sql(
  INSERT INTO provisioner_jobs
    (id, organization_id, initiator_id, type, provisioner, file_id, tags, queue_at)
  VALUES ($1, $2, $3, 'template_version_import', $4, $5, $6, now()))sql";

constexpr char kInsertVersion[] = R"sql(
  INSERT INTO template_versions (id, template_id, organization_id, name, message, job_id, created_by)
  VALUES ($1, $2, $3, $4, $5, $6, $7))sql";

// Whether a value is sensitive is known after the import only; until then each counts as one.
constexpr char kInsertVariable[] = R"sql(
  INSERT INTO template_version_variables (template_version_id, name, sensitive, sealed_value)
  VALUES ($1, $2, true, $3))sql";

// Values that were given to the active version and not to this one. They stay sealed: the seal is
// of the value alone.
constexpr char kCarryVariables[] = R"sql(
  INSERT INTO template_version_variables (template_version_id, name, sensitive, sealed_value)
  SELECT $1, v.name, true, v.sealed_value
  FROM templates t JOIN template_version_variables v ON v.template_version_id = t.active_version_id
  WHERE t.id = $2 AND v.sealed_value IS NOT NULL
  ON CONFLICT (template_version_id, name) DO NOTHING)sql";

absl::Status CheckTemplate(pg::Transaction& tx, const NewTemplateVersion& version) {
  if (!version.template_id) return absl::OkStatus();
  const std::string id = version.template_id->ToString();
  ASSIGN_OR_RETURN(const pg::Result found,
                   tx.Execute(kTemplate, {id, version.organization.ToString()}));
  if (found.empty()) return auth::NotFound(absl::StrCat("template ", id));
  const auto provisioner = found.Get<std::string>(0, 0);
  if (provisioner == version.provisioner) return absl::OkStatus();
  return status::WithReason(
      absl::InvalidArgumentError(absl::StrCat(
          "create version of template ", id, ": provisioner \"", version.provisioner,
          "\": its versions are for \"", provisioner, "\"; use that or make another template")),
      "PROVISIONER_MISMATCH");
}

absl::Status CheckReferences(pg::Transaction& tx, const NewTemplateVersion& version) {
  const std::string organization = version.organization.ToString();
  ASSIGN_OR_RETURN(const pg::Result organizations, tx.Execute(kOrganization, {organization}));
  if (organizations.empty()) return auth::NotFound(absl::StrCat("organization ", organization));
  RETURN_IF_ERROR(CheckTemplate(tx, version));
  ASSIGN_OR_RETURN(const pg::Result files,
                   tx.Execute(kFile, {version.file.ToString(), version.creator.ToString()}));
  if (files.empty()) return auth::NotFound(absl::StrCat("file ", version.file.ToString()));
  return absl::OkStatus();
}

absl::Status Explain(const absl::Status& failure, const NewTemplateVersion& version) {
  if (pg::ConstraintName(failure) == "template_versions_name_key") {
    return status::WithReason(
        absl::AlreadyExistsError(absl::StrCat("create template version \"", version.name,
                                              "\": another version of the template has this name; "
                                              "choose another or leave it out")),
        "VERSION_NAME_TAKEN");
  }
  if (pg::ConstraintName(failure) == "template_version_variables_pkey") {
    return absl::InvalidArgumentError(absl::StrCat("create template version \"", version.name,
                                                   "\": a variable is given twice; give it once"));
  }
  return failure;
}

absl::Status Insert(pg::Transaction& tx, const NewTemplateVersion& version) {
  const std::string id = version.id.ToString();
  const std::string organization = version.organization.ToString();
  const std::string creator = version.creator.ToString();
  std::optional<std::string> template_id;
  if (version.template_id) template_id = version.template_id->ToString();
  pg::Pipeline statements;
  statements.Add(kInsertJob, {version.job.ToString(), organization, creator, version.provisioner,
                              version.file.ToString(), TagsToJson(version.tags)});
  statements.Add(kInsertVersion, {id, template_id, organization, version.name, version.message,
                                  version.job.ToString(), creator});
  for (const SealedValue& variable : version.variables) {
    statements.Add(kInsertVariable, {id, variable.name, pg::Bytea{variable.sealed}});
  }
  if (template_id) statements.Add(kCarryVariables, {id, template_id});
  return Explain(tx.Execute(statements).status(), version);
}

absl::StatusOr<TemplateVersionRecord> CreateIn(pg::Transaction& tx,
                                               const NewTemplateVersion& version) {
  RETURN_IF_ERROR(CheckReferences(tx, version));
  RETURN_IF_ERROR(Insert(tx, version));
  return ReadVersion(tx, version.id);
}

}  // namespace

absl::StatusOr<TemplateVersionRecord> PgTemplateVersionStore::Create(
    const NewTemplateVersion& version, const std::optional<RequestKey>& request,
    clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) -> absl::StatusOr<TemplateVersionRecord> {
                                if (!request) return CreateIn(tx, version);
                                ASSIGN_OR_RETURN(const std::optional<std::string> earlier,
                                                 FindResponse(tx, *request));
                                if (earlier)
                                  return ReadVersion(tx, IdFromColumn<TemplateVersionId>(*earlier));
                                ASSIGN_OR_RETURN(TemplateVersionRecord made, CreateIn(tx, version));
                                RETURN_IF_ERROR(StoreResponse(tx, *request, made.id.ToString()));
                                return made;
                              });
}

}  // namespace coder::storage
