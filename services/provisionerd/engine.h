#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/process/pause.h"

namespace coder::provisionerd {

enum class Transition { kStart, kStop, kDelete };

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };

// Who wrote a line: provisionerd about the job, or the engine it runs.
enum class LogSource { kProvisionerDaemon, kProvisioner };

// One line of a job's log: at most 1024 bytes of UTF-8 without control characters.
struct EngineLogLine {
  // Words for people, such as "Planning Infrastructure"; at most 128 bytes.
  std::string stage;
  LogLevel level = LogLevel::kInfo;
  LogSource source = LogSource::kProvisioner;
  std::string text;
};

// What an engine is given beside its request. One context serves one call.
struct EngineContext {
  // Called from the thread in Import or Build; must be quick.
  std::function<void(const EngineLogLine& line)> log;
  // Asks the engine to end soon and in order, keeping its state.
  std::stop_token interrupt;
  // Asks the engine to end at once.
  std::stop_token kill;
  // While it is on the engine changes nothing: nobody knows whether the lease still holds. Null:
  // never. One without effects on the world may go on.
  process::Pause* pause = nullptr;
  // An existing directory that only this job uses (mode 0700), beside the template's; the caller
  // removes it. At most 60 bytes long, because providers put sockets below it.
  std::string work_dir;
};

// One piece of work of a job, for provisioner timings.
struct StageTiming {
  enum class State { kCompleted, kFailed };
  // "init", "plan", "graph" or "apply".
  std::string stage;
  // The resource worked on, such as "terraform_data.home"; empty for the stage as a whole.
  std::string resource;
  // What was done: "create", "update", "delete", "read", or the stage's name.
  std::string action;
  // The provider or engine that did it, such as "terraform".
  std::string source;
  // Since the start of Import or Build, by the monotonic clock.
  absl::Duration start;
  absl::Duration end;
  State state = State::kCompleted;
};

struct ParameterOption {
  std::string name, description, value, icon;
};

// A template parameter (a coder_parameter data source). Values are text whatever the type is.
struct RichParameter {
  std::string name, display_name, description;
  // "string", "number", "bool" or "list(string)".
  std::string type;
  std::string form_type;
  bool is_mutable = false;
  bool required = false;
  bool ephemeral = false;
  std::string default_value;
  std::string icon;
  std::int32_t order = 0;
  std::vector<ParameterOption> options;
  std::string validation_regex, validation_error;
  std::optional<std::int64_t> validation_min, validation_max;
  // "", "increasing" or "decreasing".
  std::string validation_monotonic;
};

// A variable of the template itself, set by its administrator.
struct TemplateVariable {
  std::string name, description;
  // Type expression as written, empty if the engine does not tell.
  std::string type;
  // Strings plain, other types as JSON; empty if there is no default.
  std::string default_value;
  bool required = false;
  bool sensitive = false;
};

struct ResourceMetadata {
  std::string key, value;
  bool sensitive = false;
  bool is_null = false;
};

struct AppHealthcheck {
  std::string url;
  std::int32_t interval_seconds = 0;
  std::int32_t threshold = 0;
};

// A way into a workspace beside the terminal (a coder_app resource).
struct WorkspaceApp {
  std::string id, slug, display_name, command, url, icon, group, tooltip;
  // "owner", "authenticated" or "public".
  std::string sharing_level = "owner";
  // "slim-window" or "tab".
  std::string open_in = "slim-window";
  bool subdomain = false, external = false, hidden = false;
  std::int32_t order = 0;
  std::optional<AppHealthcheck> healthcheck;
};

// A script the agent runs (a coder_script resource).
struct Script {
  std::string display_name, icon, script, cron, log_path;
  bool start_blocks_login = false, run_on_start = false, run_on_stop = false;
  std::int32_t timeout_seconds = 0;
};

struct AgentMetadata {
  std::string key, display_name, script;
  std::int64_t interval_seconds = 0, timeout_seconds = 0, order = 0;
};

// The process in a workspace that connects back (a coder_agent resource). `token` is a secret.
struct Agent {
  std::string id, name, token, instance_id;
  std::string operating_system, architecture, directory, motd_file, troubleshooting_url;
  std::string api_key_scope = "all";
  std::int32_t connection_timeout_seconds = 0;
  std::int64_t order = 0;
  // The agent's own env; coder_env resources are merged in by name, the later address winning.
  std::map<std::string, std::string> env;
  std::vector<AgentMetadata> metadata;
  std::vector<std::string> display_apps;
  std::vector<WorkspaceApp> apps;
  std::vector<Script> scripts;
};

// One infrastructure resource of a workspace. An agent that no resource depends on is listed under
// a resource of type "coder_agent" of its own, so that none is lost.
struct Resource {
  std::string name, type, instance_type, icon, module_path;
  bool hide = false;
  std::int32_t daily_cost = 0;
  std::vector<Agent> agents;
  std::vector<ResourceMetadata> metadata;
};

// Names and ids the template may read through its coder_workspace and coder_workspace_owner data.
// The tokens and keys are secrets. A build needs all ids and names: the coder provider refuses to
// run without them; an import may leave everything empty.
struct BuildMetadata {
  std::string coder_url;
  std::string workspace_id, workspace_name, workspace_build_id;
  std::string owner_id, owner_name, owner_full_name, owner_email, owner_login_type;
  std::vector<std::string> owner_groups;
  // JSON array of {"name","org_id"}, empty for none.
  std::string owner_rbac_roles_json;
  std::string owner_oidc_access_token, owner_session_token;
  std::string owner_ssh_public_key, owner_ssh_private_key;
  std::string template_id, template_name, template_version, template_version_id;
};

// A value by name; `sensitive` values never reach a log or a command line.
struct NamedValue {
  std::string name, value;
  bool sensitive = false;
};

struct ImportRequest {
  // The extracted archive, private to this job; the engine writes into it.
  std::string template_dir;
  // Identifies the archive's content (SHA-256 in hex); empty if unknown.
  std::string archive_sha256;
  BuildMetadata metadata;
  std::vector<NamedValue> variables;
  LogLevel log_level = LogLevel::kInfo;
};

// What a template version offers, as learned from planning a start and a stop.
struct ImportResult {
  std::vector<RichParameter> parameters;
  std::vector<Resource> start_resources;
  std::vector<Resource> stop_resources;
  std::vector<TemplateVariable> variables;
  std::map<std::string, std::string> workspace_tags;
  // Text of README.md, empty if there is none; at most 256 KiB.
  std::string readme;
  std::vector<StageTiming> timings;
};

struct BuildRequest {
  // As in ImportRequest.
  std::string template_dir;
  std::string archive_sha256;
  Transition transition = Transition::kStart;
  BuildMetadata metadata;
  std::vector<NamedValue> parameters;
  // Parameter values of the build before, for `previous` comparisons in the template.
  std::vector<NamedValue> previous_parameters;
  std::vector<NamedValue> variables;
  // State of the build before, empty for none.
  std::string previous_state;
  LogLevel log_level = LogLevel::kInfo;
};

// How a build went. `state` matters even when `outcome` is an error.
struct BuildResult {
  // OK; CANCELLED (a stop was requested); FAILED_PRECONDITION (the template or its infrastructure
  // refused: the text is for its users); DEADLINE_EXCEEDED; INTERNAL; or RunChild's errors.
  absl::Status outcome;
  // The state after the build, to be stored whatever the outcome; unset if nothing was applied, or
  // the engine was killed before it wrote: the previous state is then the last one known. May
  // contain secrets.
  std::optional<std::string> state;
  // Of the state after the build; empty unless `outcome` is OK.
  std::vector<Resource> resources;
  std::vector<StageTiming> timings;
};

// Turns templates into infrastructure. Safe to call from many threads at once, given different
// directories. Calls block until nothing they started is left running.
class Engine {
 public:
  virtual ~Engine() = default;

  // Learns what the template in `request.template_dir` offers, without touching infrastructure.
  // Errors as in BuildResult::outcome; INVALID_ARGUMENT if a parameter, agent or app breaks a rule.
  virtual absl::StatusOr<ImportResult> Import(const ImportRequest& request,
                                              const EngineContext& context) = 0;

  // Brings the workspace's infrastructure to `request.transition`. An error status means that
  // nothing was applied; from the first change on, failures are in BuildResult::outcome.
  virtual absl::StatusOr<BuildResult> Build(const BuildRequest& request,
                                            const EngineContext& context) = 0;
};

}  // namespace coder::provisionerd
