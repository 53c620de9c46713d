#include "services/provisionerd/terraform_resources.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/provisionerd/json_fields.h"
#include "services/provisionerd/terraform_agent.h"

namespace coder::provisionerd {
namespace {

using Instances = std::vector<const TerraformInstance*>;

bool IsInfrastructure(const TerraformInstance& instance) {
  return !instance.is_data && !absl::StartsWith(instance.type, "coder_");
}

// Of the candidates within `steps`, the nearest; of equally near ones, the one with the same
// instance key, then the first by address.
const TerraformInstance* Nearest(const Instances& candidates,
                                 const std::map<std::string, int>& steps, const std::string& key) {
  const TerraformInstance* best = nullptr;
  std::tuple<int, bool, std::string> best_rank;
  for (const TerraformInstance* candidate : candidates) {
    const auto it = steps.find(candidate->configuration_address);
    if (it == steps.end()) continue;
    std::tuple<int, bool, std::string> rank{it->second, candidate->key != key, candidate->address};
    if (best == nullptr || rank < best_rank) {
      best = candidate;
      best_rank = std::move(rank);
    }
  }
  return best;
}

class Assembly {
 public:
  Assembly(const std::vector<TerraformInstance>& instances, const TerraformGraph& graph)
      : instances_(instances), graph_(graph) {}

  absl::StatusOr<std::vector<Resource>> Build() {
    if (absl::Status read = ReadAgents(); !read.ok()) return read;
    for (const TerraformInstance& instance : instances_) {
      if (IsInfrastructure(instance)) infrastructure_.push_back(&instance);
      if (absl::Status added = AddToAgent(instance); !added.ok()) return added;
    }
    return Assemble();
  }

 private:
  absl::Status ReadAgents();
  absl::Status AddToAgent(const TerraformInstance& instance);
  absl::Status AddApp(const TerraformInstance& instance, Agent& agent);
  const TerraformInstance* AgentFor(const TerraformInstance& instance) const;
  std::vector<Resource> Assemble();
  void Decorate(const TerraformInstance& metadata, std::map<std::string, Resource>& resources);

  const std::vector<TerraformInstance>& instances_;
  const TerraformGraph& graph_;
  Instances agent_instances_;
  Instances infrastructure_;
  std::map<std::string, Agent> agents_;  // by address
};

absl::Status Assembly::ReadAgents() {
  std::map<std::string, std::string> names;  // lower case → address
  for (const TerraformInstance& instance : instances_) {
    if (instance.is_data || instance.type != "coder_agent") continue;
    if (absl::Status checked = CheckAgentName(instance); !checked.ok()) return checked;
    const auto [it, fresh] = names.emplace(absl::AsciiStrToLower(instance.name), instance.address);
    if (!fresh) {
      return absl::InvalidArgumentError(
          absl::StrCat("read agent ", instance.address, ": ", it->second,
                       " has the same name; agent names must differ by more than case within a "
                       "workspace, so rename one"));
    }
    agent_instances_.push_back(&instance);
    agents_[instance.address] = AgentOf(instance);
  }
  return absl::OkStatus();
}

const TerraformInstance* Assembly::AgentFor(const TerraformInstance& instance) const {
  const std::string id = Text(instance.values, "agent_id");
  for (const TerraformInstance* agent : agent_instances_) {
    if (!id.empty() && Text(agent->values, "id") == id) return agent;
  }
  // Before an apply the id is not known yet.
  return Nearest(agent_instances_, graph_.UsedBy(instance.configuration_address), instance.key);
}

absl::Status Assembly::AddApp(const TerraformInstance& instance, Agent& agent) {
  if (absl::Status checked = CheckAppSlug(instance); !checked.ok()) return checked;
  WorkspaceApp app = AppOf(instance);
  for (const WorkspaceApp& other : agent.apps) {
    if (other.slug != app.slug) continue;
    return absl::InvalidArgumentError(absl::StrCat("read app ", instance.address, ": the slug \"",
                                                   app.slug, "\" is used twice on agent ",
                                                   agent.name, "; change one of them"));
  }
  agent.apps.push_back(std::move(app));
  return absl::OkStatus();
}

absl::Status Assembly::AddToAgent(const TerraformInstance& instance) {
  static const std::set<std::string> kParts = {"coder_app", "coder_script", "coder_env",
                                               "coder_agent_instance"};
  if (instance.is_data || !kParts.contains(instance.type)) return absl::OkStatus();
  const TerraformInstance* found = AgentFor(instance);
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("read ", instance.address,
                     ": its agent_id is not the id of a coder_agent of this template; set it to "
                     "coder_agent.<name>.id"));
  }
  Agent& agent = agents_[found->address];
  if (instance.type == "coder_app") return AddApp(instance, agent);
  if (instance.type == "coder_script") agent.scripts.push_back(ScriptOf(instance));
  if (instance.type == "coder_env") {
    agent.env[Text(instance.values, "name")] = Text(instance.values, "value");
  }
  if (instance.type == "coder_agent_instance") {
    agent.instance_id = Text(instance.values, "instance_id");
  }
  return absl::OkStatus();
}

Resource ResourceOf(const TerraformInstance& instance) {
  Resource resource;
  resource.name = instance.name;
  resource.type = instance.type;
  resource.module_path = instance.module_path;
  for (const char* key : {"instance_type", "machine_type", "vm_size", "size"}) {
    if (resource.instance_type.empty()) resource.instance_type = Text(instance.values, key);
  }
  return resource;
}

void Assembly::Decorate(const TerraformInstance& metadata,
                        std::map<std::string, Resource>& resources) {
  const std::string id = Text(metadata.values, "resource_id");
  const TerraformInstance* target = nullptr;
  for (const TerraformInstance* candidate : infrastructure_) {
    if (!id.empty() && Text(candidate->values, "id") == id) target = candidate;
  }
  if (target == nullptr) {
    target = Nearest(infrastructure_, graph_.UsedBy(metadata.configuration_address), metadata.key);
  }
  if (target == nullptr) return;
  Resource& resource = resources[target->address];
  resource.hide = Flag(metadata.values, "hide");
  resource.icon = Text(metadata.values, "icon");
  resource.daily_cost = SmallNumber(metadata.values, "daily_cost");
  resource.metadata = MetadataOf(metadata);
}

std::vector<Resource> Assembly::Assemble() {
  std::map<std::string, Resource> resources;  // by address
  for (const TerraformInstance* instance : infrastructure_) {
    resources[instance->address] = ResourceOf(*instance);
  }
  for (const TerraformInstance* agent : agent_instances_) {
    const TerraformInstance* host =
        Nearest(infrastructure_, graph_.UsersOf(agent->configuration_address), agent->key);
    if (host == nullptr) resources[agent->address] = ResourceOf(*agent);
    resources[host == nullptr ? agent->address : host->address].agents.push_back(
        std::move(agents_[agent->address]));
  }
  for (const TerraformInstance& instance : instances_) {
    if (!instance.is_data && instance.type == "coder_metadata") Decorate(instance, resources);
  }
  std::vector<Resource> ordered;
  for (const TerraformInstance& instance : instances_) {
    const auto it = resources.find(instance.address);
    if (it != resources.end()) ordered.push_back(std::move(it->second));
  }
  return ordered;
}

}  // namespace

absl::StatusOr<std::vector<Resource>> ResourcesOf(const std::vector<TerraformInstance>& instances,
                                                  const TerraformGraph& graph) {
  return Assembly(instances, graph).Build();
}

}  // namespace coder::provisionerd
