#include <iostream>
#include <memory>
#include <string>

#include "cli/coderctl/command_line.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/schedule.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::ScheduleService;

struct BlackoutOptions {
  std::string organization;
  std::string template_name;
  std::string first;
  std::string last;
  std::string reason;
};

absl::Status List(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization, FindOrganization(session, name));
  api::v1::ListBlackoutsRequest request;
  request.set_organization_id(organization.id());
  ASSIGN_OR_RETURN(api::v1::ListBlackoutsResponse response,
                   Call<ScheduleService>(session, &ScheduleService::Stub::ListBlackouts, request));
  Table table({"FROM", "TO", "TEMPLATE", "REASON", "ID"});
  for (const auto& blackout : response.blackouts()) {
    table.AddRow({blackout.first_date(), blackout.last_date(),
                  blackout.template_id().empty() ? "all" : blackout.template_id(),
                  blackout.reason(), blackout.id()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status Add(const CommandLine& line, const BlackoutOptions& options) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::CreateBlackoutRequest request;
  if (options.template_name.empty()) {
    ASSIGN_OR_RETURN(api::v1::Organization organization,
                     FindOrganization(session, options.organization));
    request.set_organization_id(organization.id());
  } else {
    ASSIGN_OR_RETURN(api::v1::Template found,
                     FindTemplate(session, options.template_name, options.organization));
    request.set_template_id(found.id());
  }
  request.set_first_date(options.first);
  request.set_last_date(options.last);
  request.set_reason(options.reason);
  ASSIGN_OR_RETURN(api::v1::CreateBlackoutResponse response,
                   Call<ScheduleService>(session, &ScheduleService::Stub::CreateBlackout, request));
  std::cerr << "nothing starts by itself from " << response.blackout().first_date() << " to "
            << response.blackout().last_date() << "\n";
  if (line.output == OutputFormat::kJson) std::cout << ToJson(response, false);
  return absl::OkStatus();
}

absl::Status Delete(const CommandLine& line, const std::string& id) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::DeleteBlackoutRequest request;
  request.set_id(id);
  return Call<ScheduleService>(session, &ScheduleService::Stub::DeleteBlackout, request).status();
}

}  // namespace

void AddBlackoutCommands(CLI::App& root, CommandLine& line) {
  CLI::App* blackouts = root.add_subcommand("blackouts", "Days on which nothing starts by itself");
  blackouts->require_subcommand(1);
  blackouts->footer(
      "\nExamples:\n"
      "  coderctl blackouts add 2026-12-24 2026-12-26 --reason holidays\n"
      "  coderctl blackouts add 2026-05-01 --template gpu");
  auto options = std::make_shared<BlackoutOptions>();
  AddCommand(*blackouts, line, "list", "Those that are not over", [&line, options] {
    return List(line, options->organization);
  })->add_option("--org", options->organization, "Organization (the default one)");
  CLI::App* add = AddCommand(*blackouts, line, "add", "Declare days without autostarts",
                             [&line, options] { return Add(line, *options); });
  add->add_option("first", options->first, "Such as 2026-12-24")->required();
  add->add_option("last", options->last, "Included (the first day)");
  add->add_option("--org", options->organization, "Organization (the default one)");
  add->add_option("-t,--template", options->template_name, "For this template only");
  add->add_option("--reason", options->reason, "Shown with what is skipped for it");
  auto id = std::make_shared<std::string>();
  AddCommand(*blackouts, line, "delete", "Let things start again",
             [&line, id] { return Delete(line, *id); })
      ->add_option("id", *id, "As listed")
      ->required();
}

}  // namespace coder::cli
