#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace coder::provisionerd {

// One instance of a resource or data source in a plan or a state.
struct TerraformInstance {
  // "module.a[0].docker_container.box[1]"
  std::string address;
  // The same without instance keys.
  std::string configuration_address;
  std::string type, name;
  // "module.a[0]", empty at the root.
  std::string module_path;
  // The instance key as JSON text; empty if there is none.
  std::string key;
  bool is_data = false;
  // The known attributes.
  nlohmann::json values;
};

// The instances of a `values` object (state) or `planned_values` object (plan), all modules, in the
// engine's order. Modules nested deeper than 64 are left out.
std::vector<TerraformInstance> InstancesOf(const nlohmann::json& values);

}  // namespace coder::provisionerd
