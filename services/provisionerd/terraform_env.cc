#include "services/provisionerd/terraform_env.h"

#include <openssl/sha.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace coder::provisionerd {
namespace {

std::string HexSha256(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

const char* TransitionName(Transition transition) {
  switch (transition) {
    case Transition::kStart:
      return "start";
    case Transition::kStop:
      return "stop";
    case Transition::kDelete:
      return "delete";
  }
  return "";
}

std::string GroupsJson(const std::vector<std::string>& groups) {
  return nlohmann::json(groups).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class Environment {
 public:
  // An empty value is left out, so that the provider's own default holds.
  void Set(absl::string_view name, const std::string& value) {
    if (!value.empty()) Always(name, value);
  }
  void Always(absl::string_view name, absl::string_view value) {
    // The system call would cut the value there, silently.
    if (value.find('\0') != absl::string_view::npos) return;
    lines_.push_back(absl::StrCat(name, "=", value));
  }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

void SetPlaces(const TerraformPlaces& places, Environment& env) {
  env.Set("PATH", places.path);
  env.Set("HOME", places.home);
  env.Set("TMPDIR", places.tmp);
  env.Always("LANG", "C.UTF-8");
  env.Set("TF_CLI_CONFIG_FILE", places.cli_config);
  env.Set("TF_DATA_DIR", places.data_dir);
  env.Always("TF_IN_AUTOMATION", "1");
  env.Always("TF_INPUT", "0");
  env.Always("CHECKPOINT_DISABLE", "1");
}

void SetMetadata(const BuildMetadata& about, Environment& env) {
  env.Set("CODER_AGENT_URL", about.coder_url);
  env.Set("CODER_WORKSPACE_NAME", about.workspace_name);
  env.Set("CODER_WORKSPACE_ID", about.workspace_id);
  env.Set("CODER_WORKSPACE_BUILD_ID", about.workspace_build_id);
  env.Set("CODER_WORKSPACE_OWNER", about.owner_name);
  env.Set("CODER_WORKSPACE_OWNER_ID", about.owner_id);
  env.Set("CODER_WORKSPACE_OWNER_NAME", about.owner_full_name);
  env.Set("CODER_WORKSPACE_OWNER_EMAIL", about.owner_email);
  env.Set("CODER_WORKSPACE_OWNER_LOGIN_TYPE", about.owner_login_type);
  env.Always("CODER_WORKSPACE_OWNER_GROUPS", GroupsJson(about.owner_groups));
  env.Always("CODER_WORKSPACE_OWNER_RBAC_ROLES",
             about.owner_rbac_roles_json.empty() ? "[]" : about.owner_rbac_roles_json);
  env.Set("CODER_WORKSPACE_OWNER_OIDC_ACCESS_TOKEN", about.owner_oidc_access_token);
  env.Set("CODER_WORKSPACE_OWNER_SESSION_TOKEN", about.owner_session_token);
  env.Set("CODER_WORKSPACE_OWNER_SSH_PUBLIC_KEY", about.owner_ssh_public_key);
  env.Set("CODER_WORKSPACE_OWNER_SSH_PRIVATE_KEY", about.owner_ssh_private_key);
  env.Set("CODER_WORKSPACE_TEMPLATE_ID", about.template_id);
  env.Set("CODER_WORKSPACE_TEMPLATE_NAME", about.template_name);
  env.Set("CODER_WORKSPACE_TEMPLATE_VERSION", about.template_version);
}

// The engine's own variables travel by environment: a command line is readable by everyone.
void SetVariables(const std::vector<NamedValue>& variables, Environment& env) {
  for (const NamedValue& variable : variables) {
    env.Always(absl::StrCat("TF_VAR_", variable.name), variable.value);
  }
}

}  // namespace

std::string ParameterVariable(const std::string& parameter_name) {
  return absl::StrCat("CODER_PARAMETER_", HexSha256(parameter_name));
}

std::vector<std::string> TerraformEnvironment(const TerraformPlaces& places,
                                              const TerraformInputs& inputs) {
  Environment env;
  SetPlaces(places, env);
  env.Always("CODER_WORKSPACE_TRANSITION", TransitionName(inputs.transition));
  if (inputs.metadata != nullptr) SetMetadata(*inputs.metadata, env);
  if (inputs.parameters != nullptr) {
    for (const NamedValue& p : *inputs.parameters) env.Always(ParameterVariable(p.name), p.value);
  }
  if (inputs.previous_parameters != nullptr) {
    for (const NamedValue& p : *inputs.previous_parameters) {
      env.Always(absl::StrCat("CODER_PARAMETER_PREVIOUS_", HexSha256(p.name)), p.value);
    }
  }
  if (inputs.variables != nullptr) SetVariables(*inputs.variables, env);
  return env.Take();
}

std::vector<std::string> SecretsOf(const TerraformInputs& inputs) {
  std::vector<std::string> secrets;
  if (inputs.metadata != nullptr) {
    secrets = {inputs.metadata->owner_oidc_access_token, inputs.metadata->owner_session_token,
               inputs.metadata->owner_ssh_private_key};
  }
  for (const auto* values : {inputs.parameters, inputs.previous_parameters, inputs.variables}) {
    if (values == nullptr) continue;
    for (const NamedValue& named : *values) {
      if (named.sensitive) secrets.push_back(named.value);
    }
  }
  return secrets;
}

}  // namespace coder::provisionerd
