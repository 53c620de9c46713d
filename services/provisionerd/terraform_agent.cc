#include "services/provisionerd/terraform_agent.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/provisionerd/json_fields.h"

namespace coder::provisionerd {
namespace {

constexpr std::size_t kMaxNameBytes = 64;

// Letters and digits joined by single hyphens.
bool IsHyphenated(const std::string& text, bool lower_case_only) {
  bool after_hyphen = true;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '-') {
      if (after_hyphen) return false;
      after_hyphen = true;
      continue;
    }
    if (!absl::ascii_isalnum(byte) || (lower_case_only && absl::ascii_isupper(byte))) return false;
    after_hyphen = false;
  }
  return !after_hyphen && text.size() <= kMaxNameBytes;
}

std::vector<std::string> DisplayAppsOf(const Json& agent) {
  static constexpr const char* kNames[] = {"vscode", "vscode_insiders", "web_terminal",
                                           "port_forwarding_helper", "ssh_helper"};
  const Json& blocks = List(agent, "display_apps");
  std::vector<std::string> shown;
  for (const char* name : kNames) {
    const bool by_default = std::string_view(name) != "vscode_insiders";
    if (blocks.empty() ? by_default : Flag(blocks[0], name, by_default)) shown.push_back(name);
  }
  return shown;
}

}  // namespace

absl::Status CheckAgentName(const TerraformInstance& instance) {
  if (IsHyphenated(instance.name, /*lower_case_only=*/false)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "read agent ", instance.address, ": the name \"", instance.name,
      "\" must be letters and digits joined by single hyphens, at most 64 characters; rename the "
      "resource, for example \"",
      "main\""));
}

absl::Status CheckAppSlug(const TerraformInstance& instance) {
  const std::string slug = Text(instance.values, "slug");
  if (IsHyphenated(slug, /*lower_case_only=*/true)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "read app ", instance.address, ": the slug \"", slug,
      "\" must be lower-case letters and digits joined by single hyphens, at most 64 characters; "
      "change the slug"));
}

Agent AgentOf(const TerraformInstance& instance) {
  const Json& values = instance.values;
  Agent agent;
  agent.id = Text(values, "id");
  agent.name = instance.name;
  if (Text(values, "auth", "token") == "token") agent.token = Text(values, "token");
  agent.operating_system = Text(values, "os");
  agent.architecture = Text(values, "arch");
  agent.directory = Text(values, "dir");
  agent.motd_file = Text(values, "motd_file");
  agent.troubleshooting_url = Text(values, "troubleshooting_url");
  agent.api_key_scope = Text(values, "api_key_scope", "all");
  agent.connection_timeout_seconds = SmallNumber(values, "connection_timeout");
  agent.order = Number(values, "order");
  agent.display_apps = DisplayAppsOf(values);
  const Json& env = Field(values, "env");
  for (auto it = env.begin(); env.is_object() && it != env.end(); ++it) {
    if (it->is_string()) agent.env[it.key()] = it->get<std::string>();
  }
  for (const Json& item : List(values, "metadata")) {
    agent.metadata.push_back({Text(item, "key"), Text(item, "display_name"), Text(item, "script"),
                              Number(item, "interval"), Number(item, "timeout"),
                              Number(item, "order")});
  }
  return agent;
}

WorkspaceApp AppOf(const TerraformInstance& instance) {
  const Json& values = instance.values;
  WorkspaceApp app;
  app.id = Text(values, "id");
  app.slug = Text(values, "slug");
  app.display_name = Text(values, "display_name", app.slug);
  app.command = Text(values, "command");
  app.url = Text(values, "url");
  app.icon = Text(values, "icon");
  app.group = Text(values, "group");
  app.tooltip = Text(values, "tooltip");
  app.sharing_level = Text(values, "share", "owner");
  app.open_in = Text(values, "open_in", "slim-window");
  app.subdomain = Flag(values, "subdomain");
  app.external = Flag(values, "external");
  app.hidden = Flag(values, "hidden");
  app.order = SmallNumber(values, "order");
  if (const Json& checks = List(values, "healthcheck"); !checks.empty()) {
    app.healthcheck = AppHealthcheck{Text(checks[0], "url"), SmallNumber(checks[0], "interval"),
                                     SmallNumber(checks[0], "threshold")};
  }
  return app;
}

Script ScriptOf(const TerraformInstance& instance) {
  const Json& values = instance.values;
  Script script;
  script.display_name = Text(values, "display_name");
  script.icon = Text(values, "icon");
  script.script = Text(values, "script");
  script.cron = Text(values, "cron");
  script.log_path = Text(values, "log_path");
  script.start_blocks_login = Flag(values, "start_blocks_login");
  script.run_on_start = Flag(values, "run_on_start");
  script.run_on_stop = Flag(values, "run_on_stop");
  script.timeout_seconds = SmallNumber(values, "timeout");
  return script;
}

std::vector<ResourceMetadata> MetadataOf(const TerraformInstance& instance) {
  std::vector<ResourceMetadata> metadata;
  for (const Json& item : List(instance.values, "item")) {
    metadata.push_back({Text(item, "key"), Text(item, "value"), Flag(item, "sensitive"),
                        Flag(item, "is_null", Field(item, "value").is_null())});
  }
  return metadata;
}

}  // namespace coder::provisionerd
