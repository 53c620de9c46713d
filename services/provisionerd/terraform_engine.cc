#include "services/provisionerd/terraform_engine.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/server/log.h"
#include "services/provisionerd/json_fields.h"
#include "services/provisionerd/private_files.h"
#include "services/provisionerd/terraform_graph.h"
#include "services/provisionerd/terraform_instances.h"
#include "services/provisionerd/terraform_providers.h"
#include "services/provisionerd/terraform_resources.h"
#include "services/provisionerd/terraform_template.h"

namespace coder::provisionerd {
namespace {

using Stage = TerraformSession::Stage;

constexpr std::size_t kMaxReadmeBytes = 256 << 10;
constexpr char kPlanFile[] = "coder.tfplan";

const Stage kInit = {"Initializing Terraform Directory", "init"};
const Stage kPlan = {"Planning Infrastructure", "plan"};
const Stage kPersistent = {"Detecting persistent resources", "plan"};
const Stage kEphemeral = {"Detecting ephemeral resources", "plan"};
const Stage kGraph = {"Graphing Infrastructure", "graph"};

Stage ApplyStage(Transition transition) {
  switch (transition) {
    case Transition::kStart:
      return {"Starting workspace", "apply"};
    case Transition::kStop:
      return {"Stopping workspace", "apply"};
    case Transition::kDelete:
      return {"Destroying workspace", "apply"};
  }
  return {"", "apply"};
}

std::vector<std::string> PlanArgs(Transition transition) {
  std::vector<std::string> args = {"plan",  "-input=false",  "-no-color",
                                   "-json", "-refresh=true", absl::StrCat("-out=", kPlanFile)};
  if (transition == Transition::kDelete) args.push_back("-destroy");
  return args;
}

absl::Status RunInit(TerraformSession& session) {
  return session.Run(kInit, {"init", "-input=false", "-no-color"});
}

// By the version, not the archive: its variables may decide which modules are installed.
absl::Status Initialise(TerraformSession& session, InitCache* cache, const std::string& version,
                        const std::string& state) {
  if (cache == nullptr || version.empty()) return RunInit(session);
  absl::StatusOr<InitCache::Claim> claim = session.ClaimInit(*cache, version);
  if (!claim.ok()) return claim.status();
  if (claim->hit() && HasProvidersOf(state, session.Initialised().data_dir)) {
    session.Say(kInit, LogLevel::kInfo,
                "The directory initialized before for this template version is used.");
    return absl::OkStatus();
  }
  if (absl::Status ran = RunInit(session); !ran.ok()) return ran;
  if (absl::Status kept = claim->Keep(session.Initialised()); !kept.ok()) {
    log::Warn("an initialized directory was not kept",
              {{"template_version_id", version}, {"error", kept}});
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> Show(TerraformSession& session, std::vector<std::string> args) {
  absl::StatusOr<std::string> text = session.Capture(kGraph, args);
  if (!text.ok()) return text.status();
  Json shown = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (shown.is_object()) return shown;
  return absl::InternalError(
      "read the engine's \"show -json\": it is not a JSON object; check that the engine is "
      "OpenTofu or Terraform 1.6 or newer");
}

absl::StatusOr<TerraformGraph> GraphOfPlan(TerraformSession& session) {
  absl::StatusOr<std::string> dot =
      session.Capture(kGraph, {"graph", "-type=plan", absl::StrCat("-plan=", kPlanFile)});
  if (!dot.ok()) return dot.status();
  return TerraformGraph::Parse(*dot);
}

struct Planned {
  Json plan;
  std::vector<Resource> resources;
};

absl::StatusOr<Planned> PlanFor(TerraformSession& session, const ImportRequest& request,
                                Transition transition, const Stage& stage) {
  session.SetInputs(
      {.transition = transition, .metadata = &request.metadata, .variables = &request.variables});
  if (absl::Status ran = session.Run(stage, PlanArgs(transition)); !ran.ok()) return ran;
  absl::StatusOr<Json> plan = Show(session, {"show", "-no-color", "-json", kPlanFile});
  if (!plan.ok()) return plan.status();
  absl::StatusOr<TerraformGraph> graph = GraphOfPlan(session);
  if (!graph.ok()) return graph.status();
  auto resources = ResourcesOf(InstancesOf(Field(*plan, "planned_values")), *graph);
  if (!resources.ok()) return resources.status();
  return Planned{*std::move(plan), *std::move(resources)};
}

absl::StatusOr<ImportResult> ImportWith(TerraformSession& session, const ImportRequest& request,
                                        InitCache* cache) {
  session.SetInputs({.metadata = &request.metadata, .variables = &request.variables});
  if (absl::Status ran = session.Prepare(); !ran.ok()) return ran;
  const std::string& version = request.metadata.template_version_id;
  if (absl::Status ran = Initialise(session, cache, version, ""); !ran.ok()) return ran;
  auto start = PlanFor(session, request, Transition::kStart, kPersistent);
  if (!start.ok()) return start.status();
  auto stop = PlanFor(session, request, Transition::kStop, kEphemeral);
  if (!stop.ok()) return stop.status();
  const std::vector<TerraformInstance> data = DataSourcesOf(start->plan);
  auto parameters = ParametersOf(data);
  if (!parameters.ok()) return parameters.status();
  ImportResult result;
  result.parameters = *std::move(parameters);
  result.start_resources = std::move(start->resources);
  result.stop_resources = std::move(stop->resources);
  result.variables = VariablesOf(start->plan);
  result.workspace_tags = WorkspaceTagsOf(data);
  result.readme = ReadRegularFile(absl::StrCat(request.template_dir, "/README.md"), kMaxReadmeBytes)
                      .value_or("");
  result.timings = session.TakeTimings();
  return result;
}

// Everything before the first change of infrastructure.
absl::StatusOr<TerraformGraph> PlanBuild(TerraformSession& session, const BuildRequest& request,
                                         InitCache* cache) {
  if (absl::Status ran = session.Prepare(); !ran.ok()) return ran;
  if (!request.previous_state.empty()) {
    if (absl::Status ran = session.WriteState(request.previous_state); !ran.ok()) return ran;
  }
  const std::string& version = request.metadata.template_version_id;
  if (absl::Status ran = Initialise(session, cache, version, request.previous_state); !ran.ok()) {
    return ran;
  }
  if (absl::Status ran = session.Run(kPlan, PlanArgs(request.transition)); !ran.ok()) return ran;
  return GraphOfPlan(session);
}

absl::Status ReadResources(TerraformSession& session, const TerraformGraph& graph,
                           BuildResult& result) {
  absl::StatusOr<Json> shown = Show(session, {"show", "-no-color", "-json"});
  if (!shown.ok()) return shown.status();
  auto resources = ResourcesOf(InstancesOf(Field(*shown, "values")), graph);
  if (!resources.ok()) return resources.status();
  result.resources = *std::move(resources);
  return absl::OkStatus();
}

BuildResult BuildWith(TerraformSession& session, const BuildRequest& request, InitCache* cache) {
  BuildResult result;
  absl::StatusOr<TerraformGraph> graph = PlanBuild(session, request, cache);
  result.outcome = graph.status();
  if (graph.ok()) {
    const Stage stage = ApplyStage(request.transition);
    result.outcome = session.Run(
        stage, {"apply", "-no-color", "-auto-approve", "-input=false", "-json", kPlanFile});
    result.state = session.ReadState();
    if (!result.state) {
      session.Say(stage, LogLevel::kError,
                  "the engine left no readable state; the state before this build is kept");
    }
  }
  if (result.outcome.ok()) result.outcome = ReadResources(session, *graph, result);
  result.timings = session.TakeTimings();
  return result;
}

absl::Status CheckPath(const std::string& path, int access, absl::string_view what) {
  if (path.empty() || path[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("use ", what, " \"", path, "\": the path must be absolute"));
  }
  if (::access(path.c_str(), access) == 0) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("use ", what, " ", path,
                                          ": there is no such file, or this user may not use it; "
                                          "install it or correct the path"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TerraformEngine>> TerraformEngine::Create(TerraformConfig config,
                                                                         clock::Clock& clock,
                                                                         InitCache* init_cache) {
  if (absl::Status ok = CheckPath(config.engine_path, X_OK, "engine"); !ok.ok()) return ok;
  if (!config.cli_config_path.empty()) {
    absl::Status ok = CheckPath(config.cli_config_path, R_OK, "engine CLI configuration");
    if (!ok.ok()) return ok;
  }
  return std::unique_ptr<TerraformEngine>(
      new TerraformEngine(std::move(config), clock, init_cache));
}

absl::StatusOr<ImportResult> TerraformEngine::Import(const ImportRequest& request,
                                                     const EngineContext& context) {
  TerraformSession session(config_, context, clock_, request.template_dir, request.log_level);
  return ImportWith(session, request, init_cache_);
}

absl::StatusOr<BuildResult> TerraformEngine::Build(const BuildRequest& request,
                                                   const EngineContext& context) {
  TerraformSession session(config_, context, clock_, request.template_dir, request.log_level);
  const Stage stage = ApplyStage(request.transition);
  if (request.transition == Transition::kDelete && request.previous_state.empty()) {
    session.Say(stage, LogLevel::kInfo, "There is no state, so there is nothing to destroy.");
    return BuildResult{};
  }
  session.SetInputs({.transition = request.transition,
                     .metadata = &request.metadata,
                     .parameters = &request.parameters,
                     .previous_parameters = &request.previous_parameters,
                     .variables = &request.variables});
  return BuildWith(session, request, init_cache_);
}

}  // namespace coder::provisionerd
