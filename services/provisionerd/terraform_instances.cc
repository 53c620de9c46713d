#include "services/provisionerd/terraform_instances.h"

#include "services/provisionerd/json_fields.h"
#include "services/provisionerd/terraform_graph.h"

namespace coder::provisionerd {
namespace {

constexpr int kMaxModuleDepth = 64;

void Collect(const Json& module, int depth, std::vector<TerraformInstance>& out) {
  for (const Json& resource : List(module, "resources")) {
    TerraformInstance instance;
    instance.address = Text(resource, "address");
    instance.configuration_address = ConfigurationAddress(instance.address);
    instance.type = Text(resource, "type");
    instance.name = Text(resource, "name");
    instance.module_path = Text(module, "address");
    if (const Json& key = Field(resource, "index"); !key.is_null()) instance.key = key.dump();
    instance.is_data = Text(resource, "mode") == "data";
    instance.values = Field(resource, "values");
    out.push_back(std::move(instance));
  }
  if (depth == kMaxModuleDepth) return;
  for (const Json& child : List(module, "child_modules")) Collect(child, depth + 1, out);
}

}  // namespace

std::vector<TerraformInstance> InstancesOf(const Json& values) {
  std::vector<TerraformInstance> instances;
  Collect(Field(values, "root_module"), 0, instances);
  return instances;
}

}  // namespace coder::provisionerd
