#include "services/provisionerd/terraform_template.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "services/provisionerd/json_fields.h"

namespace coder::provisionerd {
namespace {

void ReadValidation(const Json& validation, RichParameter& parameter) {
  parameter.validation_regex = Text(validation, "regex");
  parameter.validation_error = Text(validation, "error");
  parameter.validation_monotonic = Text(validation, "monotonic");
  // The provider writes 0 for an absent bound and tells the two apart by the flag.
  if (Field(validation, "min").is_number() && !Flag(validation, "min_disabled")) {
    parameter.validation_min = Number(validation, "min");
  }
  if (Field(validation, "max").is_number() && !Flag(validation, "max_disabled")) {
    parameter.validation_max = Number(validation, "max");
  }
}

RichParameter ParameterOf(const Json& values) {
  RichParameter parameter;
  parameter.name = Text(values, "name");
  parameter.display_name = Text(values, "display_name");
  parameter.description = Text(values, "description");
  parameter.type = Text(values, "type", "string");
  parameter.form_type = Text(values, "form_type");
  parameter.is_mutable = Flag(values, "mutable");
  parameter.required = !Flag(values, "optional");
  parameter.ephemeral = Flag(values, "ephemeral");
  parameter.default_value = Text(values, "default");
  parameter.icon = Text(values, "icon");
  parameter.order = SmallNumber(values, "order");
  for (const Json& option : List(values, "option")) {
    parameter.options.push_back({Text(option, "name"), Text(option, "description"),
                                 Text(option, "value"), Text(option, "icon")});
  }
  if (const Json& checks = List(values, "validation"); !checks.empty()) {
    ReadValidation(checks[0], parameter);
  }
  return parameter;
}

}  // namespace

std::vector<TerraformInstance> DataSourcesOf(const Json& plan) {
  std::vector<TerraformInstance> found;
  std::set<std::string> seen;
  for (const Json& values :
       {Field(Field(plan, "prior_state"), "values"), Field(plan, "planned_values")}) {
    for (TerraformInstance& instance : InstancesOf(values)) {
      if (instance.is_data && seen.insert(instance.address).second) {
        found.push_back(std::move(instance));
      }
    }
  }
  return found;
}

absl::StatusOr<std::vector<RichParameter>> ParametersOf(
    const std::vector<TerraformInstance>& data) {
  std::vector<RichParameter> parameters;
  std::map<std::string, std::string> address_of;
  for (const TerraformInstance& instance : data) {
    if (instance.type != "coder_parameter") continue;
    RichParameter parameter = ParameterOf(instance.values);
    if (parameter.name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("read parameter ", instance.address, ": it has no name; set one"));
    }
    const auto [it, fresh] = address_of.emplace(parameter.name, instance.address);
    if (!fresh) {
      return absl::InvalidArgumentError(
          absl::StrCat("read parameter ", instance.address, ": ", it->second, " is named \"",
                       parameter.name, "\" too; give each parameter a name of its own"));
    }
    parameters.push_back(std::move(parameter));
  }
  std::stable_sort(parameters.begin(), parameters.end(),
                   [](const RichParameter& a, const RichParameter& b) {
                     return std::tie(a.order, a.name) < std::tie(b.order, b.name);
                   });
  return parameters;
}

std::map<std::string, std::string> WorkspaceTagsOf(const std::vector<TerraformInstance>& data) {
  std::map<std::string, std::string> tags;
  for (const TerraformInstance& instance : data) {
    if (instance.type != "coder_workspace_tags") continue;
    const Json& written = Field(instance.values, "tags");
    for (auto it = written.begin(); written.is_object() && it != written.end(); ++it) {
      if (it->is_string()) tags[it.key()] = it->get<std::string>();
    }
  }
  return tags;
}

std::vector<TemplateVariable> VariablesOf(const Json& plan) {
  const Json& written = Field(Field(Field(plan, "configuration"), "root_module"), "variables");
  std::vector<TemplateVariable> variables;
  for (auto it = written.begin(); written.is_object() && it != written.end(); ++it) {
    TemplateVariable variable;
    variable.name = it.key();
    variable.description = Text(*it, "description");
    variable.type = Text(*it, "type");
    variable.sensitive = Flag(*it, "sensitive");
    const Json& value = Field(*it, "default");
    variable.required = !it->is_object() || !it->contains("default");
    if (value.is_string()) {
      variable.default_value = value.get<std::string>();
    } else if (!value.is_null()) {
      variable.default_value = value.dump();
    }
    variables.push_back(std::move(variable));
  }
  return variables;
}

}  // namespace coder::provisionerd
