#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/duration_text.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::WorkspaceService;

void AddScheduleRow(Table& table, const api::v1::Workspace& workspace) {
  const auto& build = workspace.latest_build();
  table.AddRow(
      {absl::StrCat(workspace.owner_name(), "/", workspace.name()),
       workspace.autostart_schedule().empty() ? "-" : workspace.autostart_schedule(),
       FormatTime(workspace.next_start_time(), workspace.has_next_start_time()),
       workspace.has_ttl() ? absl::FormatDuration(absl::Seconds(workspace.ttl().seconds())) : "-",
       FormatTime(build.deadline(), build.has_deadline())});
}

Table ScheduleTable() { return Table({"WORKSPACE", "AUTOSTART", "STARTS NEXT", "TTL", "STOPS"}); }

absl::Status Show(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  Table table = ScheduleTable();
  AddScheduleRow(table, workspace);
  Print(line.output, table, workspace);
  return absl::OkStatus();
}

absl::Status Update(const CommandLine& line, api::v1::UpdateWorkspaceRequest request,
                    const std::string& name, const std::string& field) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace current, FindWorkspace(session, name));
  request.mutable_workspace()->set_id(current.id());
  request.mutable_update_mask()->add_paths(field);
  ASSIGN_OR_RETURN(
      api::v1::UpdateWorkspaceResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::UpdateWorkspace, request));
  Table table = ScheduleTable();
  AddScheduleRow(table, response.workspace());
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status SetAutostart(const CommandLine& line, const std::string& name,
                          const std::string& schedule) {
  api::v1::UpdateWorkspaceRequest request;
  if (schedule != "manual") request.mutable_workspace()->set_autostart_schedule(schedule);
  return Update(line, std::move(request), name, "autostart_schedule");
}

absl::Status SetTtl(const CommandLine& line, const std::string& name, const std::string& ttl) {
  api::v1::UpdateWorkspaceRequest request;
  if (ttl != "manual") {
    ASSIGN_OR_RETURN(absl::Duration duration, ParseDurationText(ttl));
    request.mutable_workspace()->mutable_ttl()->set_seconds(absl::ToInt64Seconds(duration));
  }
  return Update(line, std::move(request), name, "ttl");
}

absl::Status Extend(const CommandLine& line, const std::string& name, const std::string& by) {
  ASSIGN_OR_RETURN(absl::Duration duration, ParseDurationText(by));
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::ExtendWorkspaceRequest request;
  request.set_workspace_id(workspace.id());
  request.mutable_deadline()->set_seconds(
      absl::ToUnixSeconds(clock::SystemClock().Now() + duration));
  ASSIGN_OR_RETURN(
      api::v1::ExtendWorkspaceResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::ExtendWorkspace, request));
  Table table = ScheduleTable();
  AddScheduleRow(table, response.workspace());
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status Explain(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::ExplainScheduleRequest request;
  request.set_workspace_id(workspace.id());
  ASSIGN_OR_RETURN(
      api::v1::ExplainScheduleResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::ExplainSchedule, request));
  Table table({"DUE", "WHAT", "OUTCOME", "REASON", "DETAIL"});
  for (const auto& outcome : response.outcomes()) {
    table.AddRow({FormatTime(outcome.nominal_time(), true), outcome.kind(), outcome.outcome(),
                  outcome.reason().empty() ? "-" : outcome.reason(), outcome.detail()});
  }
  if (response.has_next_start_time()) {
    table.AddRow({FormatTime(response.next_start_time(), true), "autostart", "planned", "-", ""});
  }
  if (response.has_next_stop_time()) {
    table.AddRow({FormatTime(response.next_stop_time(), true), "autostop", "planned", "-", ""});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

}  // namespace

void AddScheduleCommands(CLI::App& root, CommandLine& line) {
  CLI::App* schedule =
      root.add_subcommand("schedule", "When a workspace starts and stops by itself");
  schedule->require_subcommand(1);
  schedule->footer(
      "\nExamples:\n"
      "  coderctl schedule start dev 'CRON_TZ=Europe/Berlin 30 8 * * mon-fri'\n"
      "  coderctl schedule stop dev 8h\n"
      "  coderctl schedule start dev manual");
  auto name = std::make_shared<std::string>();
  auto value = std::make_shared<std::string>();
  const auto named = [&](const char* verb, const char* description,
                         std::function<absl::Status()> run) {
    CLI::App* command = AddCommand(*schedule, line, verb, description, std::move(run));
    command->add_option("workspace", *name, "Name, owner/name or id")->required();
    return command;
  };
  named("show", "The schedule", [&line, name] { return Show(line, *name); });
  named("explain", "What happened at the latest due times, and what comes",
        [&line, name] { return Explain(line, *name); });
  named("start", "Start by itself",
        [&line, name, value] { return SetAutostart(line, *name, *value); })
      ->add_option("schedule", *value, "'[CRON_TZ=zone] m h * * dow', or manual")
      ->required();
  named("stop", "Stop by itself after a start",
        [&line, name, value] { return SetTtl(line, *name, *value); })
      ->add_option("ttl", *value, "1m to 720h, or manual")
      ->required();
  named("extend", "Stop that much from now",
        [&line, name, value] { return Extend(line, *name, *value); })
      ->add_option("duration", *value, "At least 30m")
      ->required();
}

}  // namespace coder::cli
