#include "services/provisionerd/echo_answers.h"

#include "services/provisionerd/json_fields.h"

namespace coder::provisionerd {
namespace {

RichParameter ParameterOf(const Json& written) {
  RichParameter parameter;
  parameter.name = Text(written, "name");
  parameter.display_name = Text(written, "display_name");
  parameter.description = Text(written, "description");
  parameter.type = Text(written, "type", "string");
  parameter.form_type = Text(written, "form_type", "input");
  parameter.is_mutable = Flag(written, "mutable");
  parameter.required = Flag(written, "required");
  parameter.ephemeral = Flag(written, "ephemeral");
  parameter.default_value = Text(written, "default");
  parameter.icon = Text(written, "icon");
  parameter.order = SmallNumber(written, "order");
  for (const Json& option : List(written, "options")) {
    parameter.options.push_back({Text(option, "name"), Text(option, "description"),
                                 Text(option, "value"), Text(option, "icon")});
  }
  const Json& validation = Field(written, "validation");
  parameter.validation_regex = Text(validation, "regex");
  parameter.validation_error = Text(validation, "error");
  parameter.validation_monotonic = Text(validation, "monotonic");
  if (Field(validation, "min").is_number()) parameter.validation_min = Number(validation, "min");
  if (Field(validation, "max").is_number()) parameter.validation_max = Number(validation, "max");
  return parameter;
}

Agent AgentOf(const Json& written) {
  Agent agent;
  agent.id = Text(written, "id");
  agent.name = Text(written, "name", "main");
  agent.token = Text(written, "token");
  agent.operating_system = Text(written, "os", "linux");
  agent.architecture = Text(written, "arch", "amd64");
  for (const Json& item : List(written, "apps")) {
    WorkspaceApp app;
    app.slug = Text(item, "slug");
    app.display_name = Text(item, "display_name", app.slug);
    app.url = Text(item, "url");
    agent.apps.push_back(std::move(app));
  }
  return agent;
}

}  // namespace

std::vector<RichParameter> EchoParameters(const Json& answers) {
  std::vector<RichParameter> parameters;
  for (const Json& written : List(answers, "parameters")) {
    parameters.push_back(ParameterOf(written));
  }
  return parameters;
}

std::vector<TemplateVariable> EchoVariables(const Json& answers) {
  std::vector<TemplateVariable> variables;
  for (const Json& written : List(answers, "variables")) {
    variables.push_back({Text(written, "name"), Text(written, "description"),
                         Text(written, "type", "string"), Text(written, "default"),
                         Flag(written, "required"), Flag(written, "sensitive")});
  }
  return variables;
}

std::vector<Resource> EchoResources(const Json& answers, Transition transition) {
  std::vector<Resource> resources;
  for (const Json& written : List(answers, "resources")) {
    Resource resource;
    resource.name = Text(written, "name");
    resource.type = Text(written, "type", "echo");
    const bool persistent = resource.type == "echo_persistent";
    if (transition == Transition::kDelete) break;
    if (transition == Transition::kStop && !persistent) continue;
    resource.icon = Text(written, "icon");
    resource.daily_cost = SmallNumber(written, "daily_cost");
    for (const Json& agent : List(written, "agents")) resource.agents.push_back(AgentOf(agent));
    resources.push_back(std::move(resource));
  }
  return resources;
}

}  // namespace coder::provisionerd
