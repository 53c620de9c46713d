#include "libs/storage/postgres/new_build_context.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

using lifecycle::BuildRequest;
using lifecycle::NameValue;
using lifecycle::NewBuildContext;
using lifecycle::ParameterDefinition;
using lifecycle::TemplateId;
using lifecycle::TemplateVersionId;
using lifecycle::WorkspaceId;

constexpr char kLockWorkspace[] = "SELECT 1 FROM workspaces WHERE id = $1 FOR UPDATE";

constexpr char kWorkspaces[] = R"sql(
SELECT w.id, w.deleted_at IS NOT NULL AS deleted, w.dormant_at IS NOT NULL AS dormant,
  w.automatic_updates, t.id AS template_id, t.active_version_id, t.require_active_version,
  t.deprecation_message, b.build_number, b.transition, j.status, b.template_version_id,
  EXISTS (SELECT FROM workspace_builds l WHERE l.workspace_id = w.id
    AND l.late_state IS NOT NULL AND l.late_state_resolution IS NULL) AS late_state_pending
FROM workspaces w
JOIN templates t ON t.id = w.template_id
LEFT JOIN workspace_builds b ON b.id = w.latest_build_id
LEFT JOIN provisioner_jobs j ON j.id = b.job_id
WHERE w.id = ANY($1::uuid[]))sql";

constexpr char kLatestParameters[] = R"sql(
SELECT w.id, p.name, p.value FROM workspaces w
JOIN workspace_build_parameters p ON p.build_id = w.latest_build_id
WHERE w.id = ANY($1::uuid[]) ORDER BY p.name)sql";

constexpr char kLockTemplate[] = R"sql(
SELECT id AS template_id, active_version_id, require_active_version, deprecation_message
FROM templates WHERE id = $1 AND deleted_at IS NULL FOR SHARE)sql";

// The versions $1, each for the workspace at its place in $2, or NULL for one that is being made; a
// job of a user's scope asks for its owner.
constexpr char kVersions[] = R"sql(
SELECT n.place, v.id AS version_id, v.template_id, v.name, v.archived_at IS NOT NULL AS archived, i.status, i.error,
  EXISTS (
    SELECT FROM provisioner_daemons d
    JOIN provisioner_keys k ON k.id = d.key_id AND k.revoked_at IS NULL
    WHERE d.organization_id = v.organization_id AND i.provisioner = ANY(d.provisioners)
    AND d.last_seen_at > now() - interval '90 seconds'
    AND provisioner_tags_match(d.tags, i.tags || CASE WHEN i.tags ->> 'scope' = 'user'
      THEN jsonb_build_object('scope', 'user', 'owner',
        (SELECT owner_id::text FROM workspaces WHERE id = n.workspace_id))
      ELSE '{"scope": "organization", "owner": ""}'::jsonb END)) AS provisioner_available
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS n (version_id, workspace_id, place)
JOIN template_versions v ON v.id = n.version_id JOIN provisioner_jobs i ON i.id = v.job_id)sql";

constexpr char kDefinitions[] = R"sql(
SELECT template_version_id, name, type, mutable, ephemeral, required, default_value,
  ARRAY(SELECT o ->> 'value' FROM jsonb_array_elements(options) o) AS option_values,
  validation_regex, validation_error, validation_min, validation_max, validation_monotonic
FROM template_version_parameters
WHERE template_version_id = ANY($1::uuid[]) ORDER BY display_order, name)sql";

absl::Status NoVersion(const TemplateVersionId& version) {
  return absl::NotFoundError(absl::StrCat("find template version ", version.ToString(),
                                          ": there is none; choose one of the template's"));
}

ParameterDefinition DefinitionOf(const pg::Result::Row& row) {
  ParameterDefinition definition;
  definition.name = row.Get<std::string>("name");
  definition.type = WordFromColumn(lifecycle::ParseParameterType, row.Get<std::string>("type"));
  definition.is_mutable = row.Get<bool>("mutable");
  definition.ephemeral = row.Get<bool>("ephemeral");
  definition.required = row.Get<bool>("required");
  definition.default_value = row.Get<std::string>("default_value");
  definition.options = row.Get<std::vector<std::string>>("option_values");
  definition.validation_regex = row.Get<std::string>("validation_regex");
  definition.validation_error = row.Get<std::string>("validation_error");
  definition.validation_min = row.Get<std::optional<int64_t>>("validation_min");
  definition.validation_max = row.Get<std::optional<int64_t>>("validation_max");
  definition.monotonic =
      WordFromColumn(lifecycle::ParseMonotonic, row.Get<std::string>("validation_monotonic"));
  return definition;
}

void ReadTemplate(const pg::Result::Row& row, NewBuildContext& context) {
  context.template_facts.id = IdFromColumn<TemplateId>(row.Get<std::string>("template_id"));
  context.template_facts.active_version_id =
      IdFromColumn<TemplateVersionId>(row.Get<std::string>("active_version_id"));
  context.template_facts.require_active_version = row.Get<bool>("require_active_version");
  context.template_facts.deprecation_message = row.Get<std::string>("deprecation_message");
}

void ReadWorkspace(const pg::Result::Row& row, NewBuildContext& context) {
  context.workspace.deleted = row.Get<bool>("deleted");
  context.workspace.dormant = row.Get<bool>("dormant");
  context.workspace.automatic_updates =
      WordFromColumn(lifecycle::ParseAutomaticUpdates, row.Get<std::string>("automatic_updates"));
  ReadTemplate(row, context);
  const auto number = row.Get<std::optional<int32_t>>("build_number");
  if (!number) return;
  lifecycle::LatestBuild& latest = context.latest.emplace();
  latest.number = *number;
  latest.transition =
      WordFromColumn(lifecycle::ParseBuildTransition, row.Get<std::string>("transition"));
  latest.status = WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status"));
  latest.version_id = IdFromColumn<TemplateVersionId>(row.Get<std::string>("template_version_id"));
  latest.late_state_pending = row.Get<bool>("late_state_pending");
}

void ReadVersion(const pg::Result::Row& row, NewBuildContext& context) {
  context.version.id = IdFromColumn<TemplateVersionId>(row.Get<std::string>("version_id"));
  if (const auto id = row.Get<std::optional<std::string>>("template_id")) {
    context.version.template_id = IdFromColumn<TemplateId>(*id);
  }
  context.version.name = row.Get<std::string>("name");
  context.version.archived = row.Get<bool>("archived");
  context.version.import_status =
      WordFromColumn(lifecycle::ParseJobStatus, row.Get<std::string>("status"));
  context.version.import_error = row.Get<std::string>("error");
  context.provisioner_available = row.Get<bool>("provisioner_available");
}

// What is asked of a batch of workspaces, and their contexts as far as they are read.
class Contexts {
 public:
  explicit Contexts(std::vector<NewBuildOrder> orders) {
    for (NewBuildOrder& order : orders) {
      ids_.push_back(order.workspace.ToString());
      contexts_.emplace_back().request = std::move(order.request);
    }
  }

  void AddFacts(pg::Plan plan, pg::Pipeline& reads) const {
    reads.Add(kWorkspaces, {ids_}, plan).Add(kLatestParameters, {ids_}, plan);
  }

  absl::Status ReadFacts(const pg::Result& workspaces, const pg::Result& parameters) {
    std::map<std::string, NewBuildContext*> found;
    for (size_t i = 0; i < ids_.size(); ++i) found[ids_[i]] = &contexts_[i];
    for (const pg::Result::Row row : workspaces) {
      ReadWorkspace(row, *found.at(row.Get<std::string>("id")));
    }
    for (const pg::Result::Row row : parameters) {
      found.at(row.Get<std::string>("id"))
          ->latest->parameters.push_back(
              NameValue{row.Get<std::string>("name"), row.Get<std::string>("value")});
    }
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (!contexts_[i].template_facts.id.IsNil()) continue;
      return absl::NotFoundError(absl::StrCat("find workspace ", ids_[i], ": there is none"));
    }
    return absl::OkStatus();
  }

  absl::Status ReadVersions(pg::Transaction& tx) {
    std::vector<TemplateVersionId> versions;
    for (const NewBuildContext& context : contexts_) {
      versions.push_back(lifecycle::SelectVersion(context.request, context.workspace,
                                                  context.template_facts, context.latest));
    }
    pg::Pipeline reads;
    AddVersions(versions, {ids_.begin(), ids_.end()}, reads);
    ASSIGN_OR_RETURN(const std::vector<pg::Result> rows, tx.Execute(reads));
    return ReadVersionRows(versions, rows[0], rows[1], contexts_);
  }

  std::vector<NewBuildContext> Take() { return std::move(contexts_); }

  // `workspaces` has one element for each version; absent: one that is being made.
  static void AddVersions(const std::vector<TemplateVersionId>& versions,
                          const std::vector<std::optional<std::string>>& workspaces,
                          pg::Pipeline& reads) {
    std::vector<std::string> ids;
    for (const TemplateVersionId& version : versions) ids.push_back(version.ToString());
    reads.Add(kVersions, {ids, workspaces}).Add(kDefinitions, {ids});
  }

  static absl::Status ReadVersionRows(const std::vector<TemplateVersionId>& versions,
                                      const pg::Result& facts, const pg::Result& definitions,
                                      std::vector<NewBuildContext>& contexts) {
    std::map<std::string, std::vector<ParameterDefinition>> parameters;
    for (const pg::Result::Row row : definitions) {
      parameters[row.Get<std::string>("template_version_id")].push_back(DefinitionOf(row));
    }
    for (const pg::Result::Row row : facts) {
      NewBuildContext& context = contexts[static_cast<size_t>(row.Get<int64_t>("place")) - 1];
      ReadVersion(row, context);
      context.version.parameters = parameters[row.Get<std::string>("version_id")];
    }
    for (size_t i = 0; i < versions.size(); ++i) {
      if (contexts[i].version.id.IsNil()) return NoVersion(versions[i]);
    }
    return absl::OkStatus();
  }

 private:
  std::vector<std::string> ids_;
  std::vector<NewBuildContext> contexts_;
};

}  // namespace

absl::StatusOr<NewBuildContext> LockForNewBuild(pg::Transaction& tx, const WorkspaceId& workspace,
                                                BuildRequest request) {
  Contexts contexts({{workspace, std::move(request)}});
  // Each statement sees what was committed when it began, so the reads see what the lock waited
  // for.
  pg::Pipeline reads;
  reads.Add(kLockWorkspace, {workspace.ToString()});
  contexts.AddFacts(pg::Plan::kKept, reads);
  ASSIGN_OR_RETURN(const std::vector<pg::Result> rows, tx.Execute(reads));
  RETURN_IF_ERROR(contexts.ReadFacts(rows[1], rows[2]));
  RETURN_IF_ERROR(contexts.ReadVersions(tx));
  return std::move(contexts.Take().front());
}

absl::StatusOr<std::vector<NewBuildContext>> ReadForNewBuilds(pg::Transaction& tx,
                                                              std::vector<NewBuildOrder> orders) {
  if (orders.empty()) return std::vector<NewBuildContext>();
  Contexts contexts(std::move(orders));
  pg::Pipeline reads;
  contexts.AddFacts(pg::Plan::kFresh, reads);
  ASSIGN_OR_RETURN(const std::vector<pg::Result> rows, tx.Execute(reads));
  RETURN_IF_ERROR(contexts.ReadFacts(rows[0], rows[1]));
  RETURN_IF_ERROR(contexts.ReadVersions(tx));
  return contexts.Take();
}

absl::StatusOr<NewBuildContext> LockForFirstBuild(pg::Transaction& tx,
                                                  const TemplateId& template_id,
                                                  const TemplateVersionId& version,
                                                  lifecycle::AutomaticUpdates automatic_updates,
                                                  BuildRequest request) {
  pg::Pipeline reads;
  reads.Add(kLockTemplate, {template_id.ToString()});
  Contexts::AddVersions({version}, {std::nullopt}, reads);
  ASSIGN_OR_RETURN(const std::vector<pg::Result> rows, tx.Execute(reads));
  if (rows[0].empty()) {
    return absl::NotFoundError(
        absl::StrCat("find template ", template_id.ToString(), ": there is none"));
  }
  std::vector<NewBuildContext> contexts(1);
  contexts[0].request = std::move(request);
  contexts[0].workspace.automatic_updates = automatic_updates;
  ReadTemplate(rows[0][0], contexts[0]);
  RETURN_IF_ERROR(Contexts::ReadVersionRows({version}, rows[1], rows[2], contexts));
  return std::move(contexts[0]);
}

}  // namespace coder::storage
