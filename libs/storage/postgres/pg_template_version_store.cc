#include "libs/storage/postgres/pg_template_version_store.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/auth/policy.h"
#include "libs/lifecycle/job_state.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/resource_rows.h"
#include "libs/storage/postgres/template_version_rows.h"

namespace coder::storage {
namespace {

using lifecycle::TemplateVersionId;
using ::nlohmann::json;

constexpr char kPage[] = CODER_TEMPLATE_VERSION_SQL("''::text")
    "WHERE v.template_id = $1 AND ($2::boolean OR v.archived_at IS NULL)"
    " AND ($3::timestamptz IS NULL OR v.created_at < $3 OR (v.created_at = $3 AND v.id < $4::uuid))"
    " ORDER BY v.created_at DESC, v.id DESC LIMIT $5";

constexpr char kParameters[] = R"sql(
  SELECT name, display_name, description, type, form_type, mutable, ephemeral, required,
    default_value, icon, options, validation_regex, validation_error, validation_min,
    validation_max, validation_monotonic, display_order
  FROM template_version_parameters WHERE template_version_id = $1
  ORDER BY display_order, name)sql";

constexpr char kLockJob[] = R"sql(
  SELECT started_at, canceled_at, completed_at, error, error_code, clock_timestamp() AS now
  FROM provisioner_jobs WHERE id = $1 FOR UPDATE)sql";

constexpr char kCancelJob[] =
    "UPDATE provisioner_jobs SET canceled_at = $2, completed_at = $3, updated_at = now() "
    "WHERE id = $1";

// A promotion waits for this lock, or has been waited for.
constexpr char kLockTemplate[] = R"sql(
  SELECT t.active_version_id = v.id AS active
  FROM template_versions v JOIN templates t ON t.id = v.template_id
  WHERE v.id = $1 FOR SHARE OF t)sql";

constexpr char kArchive[] = R"sql(
  UPDATE template_versions
  SET archived_at = CASE WHEN $2::boolean THEN now() END, updated_at = now()
  WHERE id = $1 AND (archived_at IS NOT NULL) <> $2::boolean)sql";

std::vector<ParameterOptionRecord> OptionsOf(const std::string& text) {
  std::vector<ParameterOptionRecord> options;
  for (const json& option : json::parse(text)) {
    options.push_back({option.value("name", ""), option.value("description", ""),
                       option.value("value", ""), option.value("icon", "")});
  }
  return options;
}

ParameterRecord ParameterOf(const pg::Result::Row& row) {
  const auto text = [&row](std::string_view column) { return row.Get<std::string>(column); };
  ParameterRecord parameter;
  parameter.name = text("name");
  parameter.display_name = text("display_name");
  parameter.description = text("description");
  parameter.type = text("type");
  parameter.form_type = text("form_type");
  parameter.is_mutable = row.Get<bool>("mutable");
  parameter.ephemeral = row.Get<bool>("ephemeral");
  parameter.required = row.Get<bool>("required");
  parameter.default_value = text("default_value");
  parameter.icon = text("icon");
  parameter.options = OptionsOf(text("options"));
  parameter.validation_regex = text("validation_regex");
  parameter.validation_error = text("validation_error");
  parameter.validation_min = row.Get<std::optional<int64_t>>("validation_min");
  parameter.validation_max = row.Get<std::optional<int64_t>>("validation_max");
  parameter.validation_monotonic = text("validation_monotonic");
  parameter.order = row.Get<int32_t>("display_order");
  return parameter;
}

absl::Status CancelJob(pg::Transaction& tx, lifecycle::JobId job) {
  const std::string id = job.ToString();
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kLockJob, {id}));
  const pg::Result::Row row = found[0];
  const lifecycle::JobState state{
      .started_at = row.Get<std::optional<absl::Time>>("started_at"),
      .canceled_at = row.Get<std::optional<absl::Time>>("canceled_at"),
      .completed_at = row.Get<std::optional<absl::Time>>("completed_at"),
      .error = row.Get<std::string>("error"),
      .error_code = row.Get<std::string>("error_code")};
  ASSIGN_OR_RETURN(const lifecycle::JobState next,
                   lifecycle::Step(state, lifecycle::RequestCancel{}, row.Get<absl::Time>("now")));
  return tx.Execute(kCancelJob, {id, next.canceled_at, next.completed_at}).status();
}

absl::Status CheckNotActive(pg::Transaction& tx, TemplateVersionId id) {
  ASSIGN_OR_RETURN(const pg::Result found, tx.Execute(kLockTemplate, {id.ToString()}));
  if (found.empty() || !found.Get<bool>(0, "active")) return absl::OkStatus();
  return status::WithReason(
      absl::FailedPreconditionError(
          absl::StrCat("archive template version ", id.ToString(),
                       ": it is the template's active version; promote another one first")),
      "VERSION_ACTIVE");
}

}  // namespace

absl::StatusOr<TemplateVersionRecord> PgTemplateVersionStore::Get(TemplateVersionId id,
                                                                  clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline, .read_only = true},
                              [&](pg::Transaction& tx) { return ReadVersion(tx, id); });
}

absl::StatusOr<std::vector<TemplateVersionRecord>> PgTemplateVersionStore::List(
    const VersionFilter& filter, const std::optional<VersionPageKey>& after, int limit,
    clock::Deadline deadline) {
  std::optional<absl::Time> created_at;
  std::optional<std::string> id;
  if (after) {
    created_at = after->created_at;
    id = after->id.ToString();
  }
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      pool_.Execute(kPage,
                    {filter.template_id.ToString(), filter.include_archived, created_at, id, limit},
                    deadline));
  std::vector<TemplateVersionRecord> versions;
  for (const auto row : rows) versions.push_back(VersionOf(row));
  return versions;
}

absl::StatusOr<std::vector<ParameterRecord>> PgTemplateVersionStore::ListParameters(
    TemplateVersionId id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kParameters, {id.ToString()}, deadline));
  std::vector<ParameterRecord> parameters;
  for (const auto row : rows) parameters.push_back(ParameterOf(row));
  return parameters;
}

absl::StatusOr<std::vector<ResourceView>> PgTemplateVersionStore::ListResources(
    TemplateVersionId id, clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline, .read_only = true},
      [&](pg::Transaction& tx) -> absl::StatusOr<std::vector<ResourceView>> {
        ASSIGN_OR_RETURN(const TemplateVersionRecord version, ReadVersion(tx, id));
        return ReadResources(tx, version.job.id);
      });
}

absl::StatusOr<TemplateVersionRecord> PgTemplateVersionStore::CancelImport(
    TemplateVersionId id, clock::Deadline deadline) {
  return pg::RunInTransaction(pool_, {.deadline = deadline},
                              [&](pg::Transaction& tx) -> absl::StatusOr<TemplateVersionRecord> {
                                ASSIGN_OR_RETURN(const TemplateVersionRecord version,
                                                 ReadVersion(tx, id));
                                RETURN_IF_ERROR(CancelJob(tx, version.job.id));
                                return ReadVersion(tx, id);
                              });
}

absl::StatusOr<TemplateVersionRecord> PgTemplateVersionStore::SetArchived(
    TemplateVersionId id, bool archived, clock::Deadline deadline) {
  return pg::RunInTransaction(
      pool_, {.deadline = deadline},
      [&](pg::Transaction& tx) -> absl::StatusOr<TemplateVersionRecord> {
        if (archived) RETURN_IF_ERROR(CheckNotActive(tx, id));
        RETURN_IF_ERROR(LockVersion(tx, id).status());
        RETURN_IF_ERROR(tx.Execute(kArchive, {id.ToString(), archived}).status());
        return ReadVersion(tx, id);
      });
}

}  // namespace coder::storage
