#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/duration_text.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/schedule.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::ScheduleService;
using api::v1::WorkspaceService;

void AddScheduleRow(Table& table, const api::v1::Workspace& workspace) {
  const auto& build = workspace.latest_build();
  const bool always = workspace.automatic_updates() == api::v1::AUTOMATIC_UPDATES_ALWAYS;
  table.AddRow(
      {absl::StrCat(workspace.owner_name(), "/", workspace.name()),
       workspace.autostart_schedule().empty() ? "-" : workspace.autostart_schedule(),
       FormatTime(workspace.next_start_time(), workspace.has_next_start_time()),
       workspace.has_ttl() ? absl::FormatDuration(absl::Seconds(workspace.ttl().seconds())) : "-",
       FormatTime(build.deadline(), build.has_deadline()),
       FormatTime(build.max_deadline(), build.has_max_deadline()), always ? "always" : "never"});
}

Table ScheduleTable() {
  return Table(
      {"WORKSPACE", "AUTOSTART", "STARTS NEXT", "TTL", "STOPS", "AT THE LATEST", "UPDATES"});
}

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

// How a nominal time ended: an applied one as its build did.
std::string ResultOf(const api::v1::ScheduleOutcome& outcome) {
  const bool failed = outcome.build_status() == events::v1::JOB_STATUS_FAILED;
  std::string result = failed ? "failed" : outcome.outcome();
  if (outcome.outcome() == "applied" && outcome.kind() == "autostart" && !failed) {
    result = "started";
  }
  if (outcome.attempt() > 1) absl::StrAppend(&result, " (attempt ", outcome.attempt(), ")");
  return result;
}

absl::Status Explain(const CommandLine& line, const std::string& name, int limit) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::ExplainScheduleRequest request;
  request.set_workspace_id(workspace.id());
  request.set_limit(limit);
  ASSIGN_OR_RETURN(
      api::v1::ExplainScheduleResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::ExplainSchedule, request));
  Table table({"DUE", "DONE", "WHAT", "OUTCOME", "REASON", "DETAIL"});
  for (const auto& outcome : response.outcomes()) {
    table.AddRow({FormatTime(outcome.nominal_time(), true), FormatTime(outcome.decide_time(), true),
                  outcome.kind(), ResultOf(outcome),
                  outcome.reason().empty() ? "-" : outcome.reason(), outcome.detail()});
  }
  for (const auto& planned : response.planned()) {
    const bool skipped = !planned.skip_reason().empty();
    table.AddRow({FormatTime(planned.nominal_time(), true), FormatTime(planned.act_time(), true),
                  planned.kind(), skipped ? "will be skipped" : "planned",
                  skipped ? planned.skip_reason() : "-", planned.detail()});
  }
  Print(line.output, table, response);
  if (line.output == OutputFormat::kTable) {
    std::cerr << "starts "
              << absl::FormatDuration(absl::Seconds(response.spread_offset().seconds()))
              << " after its nominal times, caught up for "
              << absl::FormatDuration(absl::Seconds(response.catch_up_window().seconds()))
              << "; outcomes are kept for " << response.outcome_retention().seconds() / 86400
              << " days\n";
  }
  return absl::OkStatus();
}

struct PreviewOptions {
  std::string workspace;
  std::string schedule;
  std::string template_name;
  std::string zone;
  int count = 0;
};

std::string ClockWord(api::v1::ClockChange change) {
  if (change == api::v1::CLOCK_CHANGE_SKIPPED) return "skipped";
  return change == api::v1::CLOCK_CHANGE_REPEATED ? "repeated" : "-";
}

absl::Status Preview(const CommandLine& line, const PreviewOptions& options) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::PreviewScheduleRequest request;
  if (!options.workspace.empty()) {
    ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, options.workspace));
    request.set_workspace_id(workspace.id());
  }
  if (!options.template_name.empty()) {
    ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, options.template_name, ""));
    request.set_template_id(found.id());
  }
  request.set_schedule(options.schedule);
  request.set_time_zone(options.zone);
  request.set_count(options.count);
  ASSIGN_OR_RETURN(
      api::v1::PreviewScheduleResponse response,
      Call<ScheduleService>(session, &ScheduleService::Stub::PreviewSchedule, request));
  Table table({"UTC", response.schedule_time_zone(), response.time_zone(), "CLOCKS", "SKIPPED FOR",
               "DETAIL"});
  for (const auto& fire : response.fires()) {
    table.AddRow({FormatTime(fire.nominal_time(), true), fire.schedule_local(), fire.local(),
                  ClockWord(fire.clock_change()),
                  fire.skip_reason().empty() ? "-" : fire.skip_reason(), fire.detail()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status SkipNext(const CommandLine& line, const std::string& name, int count, bool undo) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::SkipNextAutostartRequest request;
  request.set_workspace_id(workspace.id());
  request.set_count(undo ? 0 : count);
  request.set_undo(undo);
  ASSIGN_OR_RETURN(
      api::v1::SkipNextAutostartResponse response,
      Call<ScheduleService>(session, &ScheduleService::Stub::SkipNextAutostart, request));
  Table table({"WORKSPACE", "LEFT OUT UP TO", "STARTS NEXT"});
  table.AddRow({name, FormatTime(response.skip_until_time(), response.has_skip_until_time()),
                FormatTime(response.next_start_time(), true)});
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status Activity(const CommandLine& line, const std::string& name, const std::string& agent,
                      const std::string& app) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::RecordActivityRequest request;
  request.set_workspace_id(workspace.id());
  request.set_agent(agent);
  request.set_app(app);
  ASSIGN_OR_RETURN(api::v1::RecordActivityResponse response,
                   Call<ScheduleService>(session, &ScheduleService::Stub::RecordActivity, request));
  Table table({"WORKSPACE", "MOVED", "STOPS", "AT THE LATEST"});
  table.AddRow({name, response.deadline_moved() ? "yes" : "no",
                FormatTime(response.deadline(), response.has_deadline()),
                FormatTime(response.max_deadline(), response.has_max_deadline())});
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status SetDormant(const CommandLine& line, const std::string& name, bool dormant) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Workspace workspace, FindWorkspace(session, name));
  api::v1::SetWorkspaceDormantRequest request;
  request.set_workspace_id(workspace.id());
  request.set_dormant(dormant);
  ASSIGN_OR_RETURN(
      api::v1::SetWorkspaceDormantResponse response,
      Call<WorkspaceService>(session, &WorkspaceService::Stub::SetWorkspaceDormant, request));
  const auto& changed = response.workspace();
  Table table({"WORKSPACE", "DORMANT SINCE", "DELETED AT"});
  table.AddRow({name, FormatTime(changed.dormant_time(), changed.has_dormant_time()),
                FormatTime(changed.deleting_time(), changed.has_deleting_time())});
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status SetUpdates(const CommandLine& line, const std::string& name, const std::string& when) {
  api::v1::UpdateWorkspaceRequest request;
  request.mutable_workspace()->set_automatic_updates(
      when == "always" ? api::v1::AUTOMATIC_UPDATES_ALWAYS : api::v1::AUTOMATIC_UPDATES_NEVER);
  return Update(line, std::move(request), name, "automatic_updates");
}

void AddPreview(CLI::App& schedule, CommandLine& line) {
  auto preview = std::make_shared<PreviewOptions>();
  CLI::App* command =
      AddCommand(schedule, line, "preview", "The next times, in the schedule's zone and yours",
                 [&line, preview] { return Preview(line, *preview); });
  command->add_option("workspace", preview->workspace, "Name, owner/name or id; or --schedule");
  command->add_option("--schedule", preview->schedule, "'[CRON_TZ=zone] m h * * dow'");
  command->add_option("-t,--template", preview->template_name,
                      "Hold the schedule against this template's rules");
  command->add_option("--zone", preview->zone, "IANA name (the zone of your quiet hours)");
  command->add_option("-n,--count", preview->count, "1 to 100 (10)");
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
      "  coderctl schedule preview --schedule 'CRON_TZ=Europe/Berlin 30 2 * * *' -n 3\n"
      "  coderctl schedule skip-next dev\n"
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
  auto count = std::make_shared<int>(0);
  named("explain", "What happened at the latest due times, and what comes and why",
        [&line, name, count] { return Explain(line, *name, *count); })
      ->add_option("-n,--limit", *count, "Outcomes to show, 1 to 100 (10)");
  AddPreview(*schedule, line);
  auto undo = std::make_shared<bool>(false);
  CLI::App* skip = named("skip-next", "Leave out the next autostart", [&line, name, count, undo] {
    return SkipNext(line, *name, *count, *undo);
  });
  skip->add_option("-n,--count", *count, "How many, 1 to 31 (1)");
  skip->add_flag("--undo", *undo, "Leave out none any more");
  named("updates", "Move to the active version at each start",
        [&line, name, value] { return SetUpdates(line, *name, *value); })
      ->add_option("when", *value, "always or never")
      ->required()
      ->check(CLI::IsMember({"always", "never"}));
  auto app = std::make_shared<std::string>();
  CLI::App* activity =
      named("activity", "Say that a running workspace is in use",
            [&line, name, value, app] { return Activity(line, *name, *value, *app); });
  activity->add_option("--agent", *value, "Name of the agent it is used through");
  activity->add_option("--app", *app, "ssh, vscode, jetbrains, reconnecting-pty or an app's slug");
  named("dormant", "Make a workspace dormant",
        [&line, name] { return SetDormant(line, *name, true); });
  named("wake", "Wake a dormant workspace",
        [&line, name] { return SetDormant(line, *name, false); });
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
