#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/job_log.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::BuildService;

struct BuildOptions {
  std::string workspace;
  std::vector<std::string> parameters;
  std::string version_id;
  bool no_wait = false;
  bool orphan = false;
  bool debug = false;
};

absl::StatusOr<api::v1::CreateWorkspaceBuildRequest> BuildRequest(const Session& session,
                                                                  const BuildOptions& options) {
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, options.workspace));
  api::v1::CreateWorkspaceBuildRequest request;
  request.set_workspace_id(workspace.id());
  request.set_template_version_id(options.version_id);
  request.set_reason(events::v1::BUILD_REASON_CLI);
  request.set_orphan(options.orphan);
  request.set_debug(options.debug);
  for (const std::string& text : options.parameters) {
    ASSIGN_OR_RETURN(auto parameter, SplitAssignment(text));
    api::v1::BuildParameter* value = request.add_parameters();
    value->set_name(parameter.first);
    value->set_value(parameter.second);
  }
  return request;
}

absl::Status Build(const CommandLine& line, const BuildOptions& options,
                   events::v1::BuildTransition transition) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::CreateWorkspaceBuildRequest request, BuildRequest(session, options));
  request.set_transition(transition);
  ASSIGN_OR_RETURN(api::v1::CreateWorkspaceBuildResponse response,
                   Call<BuildService>(session, &BuildService::Stub::CreateWorkspaceBuild, request));
  std::cerr << "queued build " << response.build().build_number() << " ("
            << TransitionName(response.build().transition()) << ") of "
            << response.build().workspace_name() << "\n";
  if (!options.no_wait) RETURN_IF_ERROR(FollowJob(session, response.build().job().id()));
  if (line.output == OutputFormat::kJson) std::cout << ToJson(response.build(), false);
  return absl::OkStatus();
}

absl::Status Cancel(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::CancelWorkspaceBuildRequest request;
  request.set_id(workspace.latest_build().id());
  ASSIGN_OR_RETURN(api::v1::CancelWorkspaceBuildResponse response,
                   Call<BuildService>(session, &BuildService::Stub::CancelWorkspaceBuild, request));
  std::cerr << "build " << response.build().build_number() << " is now "
            << JobStatusName(response.build().job().status()) << "\n";
  return absl::OkStatus();
}

absl::Status Logs(const CommandLine& line, const std::string& name, int build_number, bool follow) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  std::string job_id = workspace.latest_build().job().id();
  if (build_number > 0) {
    api::v1::GetWorkspaceBuildRequest request;
    request.set_workspace_id(workspace.id());
    request.set_build_number(build_number);
    ASSIGN_OR_RETURN(api::v1::GetWorkspaceBuildResponse response,
                     Call<BuildService>(session, &BuildService::Stub::GetWorkspaceBuild, request));
    job_id = response.build().job().id();
  }
  return follow ? FollowJob(session, job_id) : PrintJobLog(session, job_id);
}

absl::Status ListBuilds(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::ListWorkspaceBuildsRequest request;
  request.set_workspace_id(workspace.id());
  ASSIGN_OR_RETURN(api::v1::ListWorkspaceBuildsResponse response,
                   Call<BuildService>(session, &BuildService::Stub::ListWorkspaceBuilds, request));
  const absl::Time now = clock::SystemClock().Now();
  Table table({"BUILD", "TRANSITION", "REASON", "STATUS", "BY", "VERSION", "CREATED", "ERROR"});
  for (const auto& build : response.builds()) {
    table.AddRow({std::to_string(build.build_number()), TransitionName(build.transition()),
                  ReasonName(build.reason()), JobStatusName(build.job().status()),
                  build.initiator_name(), build.template_version_name(),
                  FormatAge(build.create_time(), build.has_create_time(), now),
                  build.job().error()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

// The newest build whose late state waits for a decision; later builds may have begun before it
// arrived. The latest build when there is none, so that the API says so.
absl::StatusOr<std::string> BuildWithLateState(Session& session,
                                               const api::v1::Workspace& workspace) {
  api::v1::ListWorkspaceBuildsRequest request;
  request.set_workspace_id(workspace.id());
  do {
    ASSIGN_OR_RETURN(
        const api::v1::ListWorkspaceBuildsResponse page,
        Call<BuildService>(session, &BuildService::Stub::ListWorkspaceBuilds, request));
    for (const auto& build : page.builds()) {
      if (build.late_state_pending()) return build.id();
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return workspace.latest_build().id();
}

absl::Status ResolveLateState(const CommandLine& line, const std::string& name, bool adopt) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::ResolveLateStateRequest request;
  ASSIGN_OR_RETURN(*request.mutable_build_id(), BuildWithLateState(session, workspace));
  request.set_adopt(adopt);
  return Call<BuildService>(session, &BuildService::Stub::ResolveLateState, request).status();
}

void AddTransition(CLI::App& root, CommandLine& line, const char* verb, const char* description,
                   events::v1::BuildTransition transition) {
  auto options = std::make_shared<BuildOptions>();
  CLI::App* command = AddCommand(root, line, verb, description, [&line, options, transition] {
    return Build(line, *options, transition);
  });
  command->add_option("workspace", options->workspace, "Name, owner/name or id")->required();
  command->add_flag("--no-wait", options->no_wait, "Do not follow the build");
  command->add_flag("--debug", options->debug, "Engine debug output");
  if (transition == events::v1::BUILD_TRANSITION_START) {
    command->add_option("-p,--parameter", options->parameters, "name=value, any number");
    command->add_option("--version-id", options->version_id, "Another version of the template");
  }
  if (transition == events::v1::BUILD_TRANSITION_DELETE) {
    command->add_flag("--orphan", options->orphan, "Forget the state, destroy nothing");
  }
}

}  // namespace

void AddBuildCommands(CLI::App& root, CommandLine& line) {
  AddTransition(root, line, "start", "Start a workspace", events::v1::BUILD_TRANSITION_START);
  AddTransition(root, line, "stop", "Stop a workspace", events::v1::BUILD_TRANSITION_STOP);
  AddTransition(root, line, "delete", "Destroy a workspace", events::v1::BUILD_TRANSITION_DELETE);
  auto name = std::make_shared<std::string>();
  const auto named = [&](const char* verb, const char* description,
                         std::function<absl::Status()> run) {
    CLI::App* command = AddCommand(root, line, verb, description, std::move(run));
    command->add_option("workspace", *name, "Name, owner/name or id")->required();
    return command;
  };
  named("cancel", "Cancel the build under way", [&line, name] { return Cancel(line, *name); });
  named("builds", "Builds of a workspace, the newest first",
        [&line, name] { return ListBuilds(line, *name); });
  auto number = std::make_shared<int>(0);
  auto follow = std::make_shared<bool>(false);
  CLI::App* logs = named("logs", "The log of a build", [&line, name, number, follow] {
    return Logs(line, *name, *number, *follow);
  });
  logs->add_option("-b,--build", *number, "Build number (the latest)");
  logs->add_flag("-f,--follow", *follow, "Until the build has ended");
  auto adopt = std::make_shared<bool>(false);
  named("resolve-state", "Decide over a state that arrived late",
        [&line, name, adopt] { return ResolveLateState(line, *name, *adopt); })
      ->add_flag("--adopt,!--dismiss", *adopt, "Make it the workspace's state, or set it aside")
      ->required();
}

}  // namespace coder::cli
