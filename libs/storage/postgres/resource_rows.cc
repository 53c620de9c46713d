#include "libs/storage/postgres/resource_rows.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "libs/status/status_macros.h"
#include "libs/storage/postgres/job_rows.h"

namespace coder::storage {
namespace {

using ::nlohmann::json;

constexpr char kResources[] = R"sql(
  SELECT id, transition, type, name, hide, icon, instance_type, daily_cost, metadata
  FROM workspace_resources WHERE job_id = $1
  ORDER BY array_position('{start,stop,delete}', transition), type, name, id)sql";

constexpr char kAgents[] = R"sql(
  SELECT a.id, a.resource_id, a.name, a.operating_system, a.architecture, a.directory, a.display_order
  FROM workspace_agents a JOIN workspace_resources r ON r.id = a.resource_id
  WHERE r.job_id = $1 ORDER BY a.display_order, a.name, a.id)sql";

constexpr char kApps[] = R"sql(
  SELECT p.agent_id, p.slug, p.display_name, p.url, p.command, p.icon, p.sharing_level, p.external,
    p.hidden, p.display_order
  FROM workspace_apps p
  JOIN workspace_agents a ON a.id = p.agent_id
  JOIN workspace_resources r ON r.id = a.resource_id
  WHERE r.job_id = $1 ORDER BY p.display_order, p.slug)sql";

AppRecord AppOf(const pg::Result::Row& row) {
  AppRecord app;
  app.slug = row.Get<std::string>("slug");
  app.display_name = row.Get<std::string>("display_name");
  app.url = row.Get<std::string>("url");
  app.command = row.Get<std::string>("command");
  app.icon = row.Get<std::string>("icon");
  app.sharing_level = row.Get<std::string>("sharing_level");
  app.external = row.Get<bool>("external");
  app.hidden = row.Get<bool>("hidden");
  app.order = row.Get<int32_t>("display_order");
  return app;
}

AgentView AgentOf(const pg::Result::Row& row) {
  AgentView view;
  view.id = IdFromColumn<lifecycle::AgentId>(row.Get<std::string>("id"));
  view.agent.name = row.Get<std::string>("name");
  view.agent.operating_system = row.Get<std::string>("operating_system");
  view.agent.architecture = row.Get<std::string>("architecture");
  view.agent.directory = row.Get<std::string>("directory");
  view.agent.order = row.Get<int32_t>("display_order");
  return view;
}

std::vector<MetadataRecord> MetadataOf(const std::string& text) {
  std::vector<MetadataRecord> metadata;
  for (const json& entry : json::parse(text)) {
    metadata.push_back(
        {entry.value("key", ""), entry.value("value", ""), entry.value("sensitive", false)});
  }
  return metadata;
}

ResourceView ResourceOf(const pg::Result::Row& row) {
  ResourceView view;
  view.id = IdFromColumn<lifecycle::ResourceId>(row.Get<std::string>("id"));
  view.resource.transition =
      WordFromColumn(lifecycle::ParseBuildTransition, row.Get<std::string>("transition"));
  view.resource.type = row.Get<std::string>("type");
  view.resource.name = row.Get<std::string>("name");
  view.resource.hide = row.Get<bool>("hide");
  view.resource.icon = row.Get<std::string>("icon");
  view.resource.instance_type = row.Get<std::string>("instance_type");
  view.resource.daily_cost = row.Get<int32_t>("daily_cost");
  view.resource.metadata = MetadataOf(row.Get<std::string>("metadata"));
  return view;
}

}  // namespace

absl::StatusOr<std::vector<ResourceView>> ReadResources(pg::Transaction& tx, lifecycle::JobId job) {
  const std::string id = job.ToString();
  ASSIGN_OR_RETURN(
      const std::vector<pg::Result> results,
      tx.Execute(pg::Pipeline().Add(kResources, {id}).Add(kAgents, {id}).Add(kApps, {id})));
  std::map<std::string, std::vector<AppRecord>> apps;
  for (const auto row : results[2]) apps[row.Get<std::string>("agent_id")].push_back(AppOf(row));
  std::map<std::string, std::vector<AgentView>> agents;
  for (const auto row : results[1]) {
    AgentView view = AgentOf(row);
    view.agent.apps = std::move(apps[view.id.ToString()]);
    agents[row.Get<std::string>("resource_id")].push_back(std::move(view));
  }
  std::vector<ResourceView> resources;
  for (const auto row : results[0]) {
    ResourceView view = ResourceOf(row);
    view.agents = std::move(agents[view.id.ToString()]);
    resources.push_back(std::move(view));
  }
  return resources;
}

}  // namespace coder::storage
