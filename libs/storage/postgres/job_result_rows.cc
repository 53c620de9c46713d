#include "libs/storage/postgres/job_result_rows.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "libs/lifecycle/types.h"

namespace coder::storage {
namespace {

using ::nlohmann::json;

constexpr char kInsertResources[] = R"sql(
  INSERT INTO workspace_resources
    (id, job_id, transition, type, name, hide, icon, instance_type, daily_cost, metadata)
  SELECT r.id, $1, r.transition, r.type, r.name, r.hide, r.icon, r.instance_type, r.daily_cost, r.metadata
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::text[],
              $9::integer[], $10::jsonb[])
    AS r (id, transition, type, name, hide, icon, instance_type, daily_cost, metadata))sql";

constexpr char kInsertAgents[] = R"sql(
  INSERT INTO workspace_agents
    (id, resource_id, name, operating_system, architecture, directory, hashed_token, display_order)
  SELECT a.id, a.resource_id, a.name, a.operating_system, a.architecture, a.directory,
    CASE WHEN a.token <> '' THEN sha256(convert_to(a.token, 'UTF8')) END, a.display_order
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::integer[])
    AS a (id, resource_id, name, operating_system, architecture, directory, token, display_order))sql";

constexpr char kInsertApps[] = R"sql(
  INSERT INTO workspace_apps
    (agent_id, slug, display_name, url, command, icon, sharing_level, external, hidden, display_order)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                       $7::text[], $8::boolean[], $9::boolean[], $10::integer[]))sql";

constexpr char kInsertTimings[] = R"sql(
  INSERT INTO provisioner_job_timings (job_id, stage, started_at, ended_at)
  SELECT $1, t.stage, t.started_at, greatest(t.started_at, t.ended_at)
  FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS t (stage, started_at, ended_at)
  ON CONFLICT DO NOTHING)sql";

constexpr char kInsertParameter[] = R"sql(
  INSERT INTO template_version_parameters
    (template_version_id, name, display_name, description, type, form_type, mutable, ephemeral, required,
     default_value, icon, options, validation_regex, validation_error, validation_min, validation_max,
     validation_monotonic, display_order)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18))sql";

constexpr char kInsertVariable[] = R"sql(
  INSERT INTO template_version_variables
    (template_version_id, name, description, type, default_value, required, sensitive)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (template_version_id, name) DO UPDATE SET
    description = excluded.description, type = excluded.type, default_value = excluded.default_value,
    required = excluded.required, sensitive = excluded.sensitive)sql";

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string MetadataJson(const std::vector<MetadataRecord>& metadata) {
  json list = json::array();
  for (const MetadataRecord& entry : metadata) {
    list.push_back({{"key", entry.key},
                    {"value", entry.sensitive ? "" : entry.value},
                    {"sensitive", entry.sensitive}});
  }
  return Dump(list);
}

std::string OptionsJson(const std::vector<ParameterOptionRecord>& options) {
  json list = json::array();
  for (const ParameterOptionRecord& option : options) {
    list.push_back({{"name", option.name},
                    {"description", option.description},
                    {"value", option.value},
                    {"icon", option.icon}});
  }
  return Dump(list);
}

// One vector a column, as unnest takes them.
struct AppColumns {
  std::vector<std::string> agent, slug, display_name, url, command, icon, sharing;
  std::vector<bool> external, hidden;
  std::vector<int32_t> order;

  void Append(const std::string& agent_id, const AppRecord& app) {
    agent.push_back(agent_id);
    slug.push_back(app.slug);
    display_name.push_back(app.display_name);
    url.push_back(app.url);
    command.push_back(app.command);
    icon.push_back(app.icon);
    sharing.push_back(app.sharing_level);
    external.push_back(app.external);
    hidden.push_back(app.hidden);
    order.push_back(app.order);
  }
};

struct AgentColumns {
  std::vector<std::string> id, resource, name, system, architecture, directory, token;
  std::vector<int32_t> order;

  void Append(const std::string& agent_id, const std::string& resource_id,
              const AgentRecord& agent) {
    id.push_back(agent_id);
    resource.push_back(resource_id);
    name.push_back(agent.name);
    system.push_back(agent.operating_system);
    architecture.push_back(agent.architecture);
    directory.push_back(agent.directory);
    token.push_back(agent.token);
    order.push_back(agent.order);
  }
};

struct ResourceColumns {
  std::vector<std::string> id, transition, type, name, icon, instance_type, metadata;
  std::vector<bool> hide;
  std::vector<int32_t> cost;

  void Append(const std::string& resource_id, const ResourceRecord& resource) {
    id.push_back(resource_id);
    transition.push_back(std::string(lifecycle::ToString(resource.transition)));
    type.push_back(resource.type);
    name.push_back(resource.name);
    hide.push_back(resource.hide);
    icon.push_back(resource.icon);
    instance_type.push_back(resource.instance_type);
    cost.push_back(resource.daily_cost);
    metadata.push_back(MetadataJson(resource.metadata));
  }
};

}  // namespace

void AddResources(pg::Pipeline& pipeline, lifecycle::JobId job,
                  const std::vector<ResourceRecord>& resources, ids::UuidV7Generator& ids) {
  ResourceColumns r;
  AgentColumns a;
  AppColumns p;
  for (const ResourceRecord& resource : resources) {
    const std::string resource_id = ids.Next().ToString();
    r.Append(resource_id, resource);
    for (const AgentRecord& agent : resource.agents) {
      const std::string agent_id = ids.Next().ToString();
      a.Append(agent_id, resource_id, agent);
      for (const AppRecord& app : agent.apps) p.Append(agent_id, app);
    }
  }
  if (!r.id.empty()) {
    pipeline.Add(kInsertResources, {job.ToString(), r.id, r.transition, r.type, r.name, r.hide,
                                    r.icon, r.instance_type, r.cost, r.metadata});
  }
  if (!a.id.empty()) {
    pipeline.Add(kInsertAgents, {a.id, a.resource, a.name, a.system, a.architecture, a.directory,
                                 a.token, a.order});
  }
  if (!p.agent.empty()) {
    pipeline.Add(kInsertApps, {p.agent, p.slug, p.display_name, p.url, p.command, p.icon, p.sharing,
                               p.external, p.hidden, p.order});
  }
}

void AddTimings(pg::Pipeline& pipeline, lifecycle::JobId job,
                const std::vector<StageTiming>& timings) {
  if (timings.empty()) return;
  std::vector<std::string> stages;
  std::vector<absl::Time> starts, ends;
  for (const StageTiming& timing : timings) {
    stages.push_back(timing.stage);
    starts.push_back(timing.started_at);
    ends.push_back(timing.ended_at);
  }
  pipeline.Add(kInsertTimings, {job.ToString(), stages, starts, ends});
}

void AddParameters(pg::Pipeline& pipeline, lifecycle::TemplateVersionId version,
                   const std::vector<ParameterRecord>& parameters) {
  for (const ParameterRecord& p : parameters) {
    pipeline.Add(kInsertParameter,
                 {version.ToString(), p.name, p.display_name, p.description, p.type, p.form_type,
                  p.is_mutable, p.ephemeral, p.required, p.default_value, p.icon,
                  OptionsJson(p.options), p.validation_regex, p.validation_error, p.validation_min,
                  p.validation_max, p.validation_monotonic, p.order});
  }
}

void AddVariables(pg::Pipeline& pipeline, lifecycle::TemplateVersionId version,
                  const std::vector<VariableRecord>& variables) {
  for (const VariableRecord& v : variables) {
    pipeline.Add(kInsertVariable, {version.ToString(), v.name, v.description, v.type,
                                   v.sensitive ? "" : v.default_value, v.required, v.sensitive});
  }
}

}  // namespace coder::storage
