#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/duration_text.h"
#include "cli/coderctl/job_log.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::WorkspaceService;

struct CreateOptions {
  std::string name;
  std::string template_name;
  std::string organization;
  std::string owner;
  std::string autostart;
  std::string ttl;
  std::vector<std::string> parameters;
  bool no_wait = false;
};

absl::StatusOr<api::v1::CreateWorkspaceRequest> CreateRequest(const Session& session,
                                                              const CreateOptions& options) {
  ASSIGN_OR_RETURN(api::v1::Template found,
                   FindTemplate(session, options.template_name, options.organization));
  api::v1::CreateWorkspaceRequest request;
  request.set_owner(options.owner.empty() ? "me" : options.owner);
  request.set_name(options.name);
  request.set_template_id(found.id());
  request.set_autostart_schedule(options.autostart);
  if (!options.ttl.empty()) {
    ASSIGN_OR_RETURN(absl::Duration ttl, ParseDurationText(options.ttl));
    request.mutable_ttl()->set_seconds(absl::ToInt64Seconds(ttl));
  }
  for (const std::string& text : options.parameters) {
    ASSIGN_OR_RETURN(auto parameter, SplitAssignment(text));
    api::v1::BuildParameter* value = request.add_parameters();
    value->set_name(parameter.first);
    value->set_value(parameter.second);
  }
  return request;
}

absl::Status Create(const CommandLine& line, const CreateOptions& options) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::CreateWorkspaceRequest request, CreateRequest(session, options));
  ASSIGN_OR_RETURN(
      api::v1::CreateWorkspaceResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::CreateWorkspace, request));
  const api::v1::Workspace& made = response.workspace();
  std::cerr << "created workspace " << made.owner_name() << "/" << made.name() << "\n";
  if (!options.no_wait) RETURN_IF_ERROR(FollowJob(session, made.latest_build().job().id()));
  if (line.output == OutputFormat::kJson) std::cout << ToJson(made, false);
  return absl::OkStatus();
}

struct ListOptions {
  bool all = false;
  std::string search;
  std::string template_name;
};

absl::Status List(const CommandLine& line, const ListOptions& options) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::ListWorkspacesRequest request;
  request.set_page_size(500);
  request.set_search(options.search);
  if (!options.all) request.set_owner("me");
  if (!options.template_name.empty()) {
    ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, options.template_name, ""));
    request.set_template_id(found.id());
  }
  api::v1::ListWorkspacesResponse all;
  do {
    ASSIGN_OR_RETURN(
        api::v1::ListWorkspacesResponse page,
        Call<WorkspaceService>(session, &WorkspaceService::Stub::ListWorkspaces, request));
    all.mutable_workspaces()->MergeFrom(page.workspaces());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  const absl::Time now = clock::SystemClock().Now();
  Table table({"WORKSPACE", "TEMPLATE", "STATUS", "BUILD", "LAST BUILT", "OUTDATED", "STARTS NEXT",
               "STOPS"});
  for (const auto& workspace : all.workspaces()) {
    const auto& build = workspace.latest_build();
    table.AddRow({absl::StrCat(workspace.owner_name(), "/", workspace.name()),
                  workspace.template_name(), WorkspaceStatusName(workspace.status()),
                  std::to_string(build.build_number()),
                  FormatAge(build.create_time(), build.has_create_time(), now),
                  workspace.outdated() ? "yes" : "no",
                  FormatTime(workspace.next_start_time(), workspace.has_next_start_time()),
                  FormatTime(build.deadline(), build.has_deadline())});
  }
  Print(line.output, table, all);
  return absl::OkStatus();
}

absl::Status Show(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  const auto& build = workspace.latest_build();
  Table table({"FIELD", "VALUE"});
  table.AddRow({"workspace", absl::StrCat(workspace.owner_name(), "/", workspace.name())});
  table.AddRow({"id", workspace.id()});
  table.AddRow({"organization", workspace.organization_name()});
  table.AddRow({"template", workspace.template_name()});
  table.AddRow(
      {"version", build.template_version_name() + (workspace.outdated() ? " (outdated)" : "")});
  table.AddRow({"status", WorkspaceStatusName(workspace.status())});
  table.AddRow(
      {"build", absl::StrCat(build.build_number(), " ", TransitionName(build.transition()), " by ",
                             build.initiator_name(), " (", ReasonName(build.reason()), ")")});
  if (!build.job().error().empty()) table.AddRow({"error", build.job().error()});
  if (build.job().status() == events::v1::JOB_STATUS_PENDING &&
      build.job().matching_provisioners() == 0) {
    table.AddRow({"pending", "no provisioner with these tags was seen in the last 90 s"});
  }
  if (build.late_state_pending())
    table.AddRow({"late state", "waits for a decision; builds are blocked"});
  table.AddRow(
      {"autostart", workspace.autostart_schedule().empty() ? "-" : workspace.autostart_schedule()});
  table.AddRow(
      {"starts next", FormatTime(workspace.next_start_time(), workspace.has_next_start_time())});
  table.AddRow({"stops", FormatTime(build.deadline(), build.has_deadline())});
  table.AddRow({"created", FormatTime(workspace.create_time(), workspace.has_create_time())});
  Print(line.output, table, workspace);
  return absl::OkStatus();
}

}  // namespace

void AddWorkspaceCommands(CLI::App& root, CommandLine& line) {
  auto create = std::make_shared<CreateOptions>();
  CLI::App* command = AddCommand(root, line, "create", "Create a workspace and start it",
                                 [&line, create] { return Create(line, *create); });
  command->add_option("name", create->name, "1-32 letters, digits and single hyphens")->required();
  command->add_option("-t,--template", create->template_name, "Id or name")->required();
  command->add_option("--org", create->organization,
                      "Organization of the template (the default one)");
  command->add_option("--owner", create->owner, "For somebody else, as an administrator");
  command->add_option("-p,--parameter", create->parameters, "name=value, any number");
  command->add_option("--autostart", create->autostart,
                      "Such as 'CRON_TZ=Europe/Berlin 0 9 * * 1-5'");
  command->add_option("--ttl", create->ttl, "Stop by itself after a start, such as 8h");
  command->add_flag("--no-wait", create->no_wait, "Do not follow the build");
  auto list = std::make_shared<ListOptions>();
  command = AddCommand(root, line, "list", "Your workspaces",
                       [&line, list] { return List(line, *list); });
  command->add_flag("-a,--all", list->all, "Everybody's you may see");
  command->add_option("--search", list->search, "Part of the name");
  command->add_option("-t,--template", list->template_name, "Only of this template");
  auto name = std::make_shared<std::string>();
  AddCommand(root, line, "show", "One workspace in full",
             [&line, name] { return Show(line, *name); })
      ->add_option("workspace", *name, "Name, owner/name or id")
      ->required();
}

}  // namespace coder::cli
