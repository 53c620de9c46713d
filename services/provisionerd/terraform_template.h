#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/terraform_instances.h"

namespace coder::provisionerd {

// What a plan (`show -json <plan>`) tells about the template itself.

// Data sources read while planning and those that wait for the apply.
std::vector<TerraformInstance> DataSourcesOf(const nlohmann::json& plan);

// The coder_parameter data sources, by order and then by name. INVALID_ARGUMENT if two have the
// same name or one has none.
absl::StatusOr<std::vector<RichParameter>> ParametersOf(const std::vector<TerraformInstance>& data);

// The coder_workspace_tags data sources, merged; of a tag set twice the last address wins.
std::map<std::string, std::string> WorkspaceTagsOf(const std::vector<TerraformInstance>& data);

// The variables of the root module, by name.
std::vector<TemplateVariable> VariablesOf(const nlohmann::json& plan);

}  // namespace coder::provisionerd
