#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/lookup.h"
#include "coder/api/v1/provisioner.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::ProvisionerAdminService;

std::string TagsText(const google::protobuf::Map<std::string, std::string>& tags) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : tags) parts.push_back(absl::StrCat(key, "=", value));
  return parts.empty() ? "-" : absl::StrJoin(parts, ",");
}

std::string StatusName(api::v1::ProvisionerDaemonStatus status) {
  switch (status) {
    case api::v1::PROVISIONER_DAEMON_STATUS_IDLE:
      return "idle";
    case api::v1::PROVISIONER_DAEMON_STATUS_BUSY:
      return "busy";
    default:
      return "offline";
  }
}

absl::Status ListDaemons(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization, FindOrganization(session, name));
  api::v1::ListProvisionerDaemonsRequest request;
  request.set_organization_id(organization.id());
  ASSIGN_OR_RETURN(api::v1::ListProvisionerDaemonsResponse response,
                   Call<ProvisionerAdminService>(
                       session, &ProvisionerAdminService::Stub::ListProvisionerDaemons, request));
  const absl::Time now = clock::SystemClock().Now();
  Table table({"NAME", "STATUS", "JOBS", "RUNS", "TAGS", "KEY", "VERSION", "SEEN"});
  for (const auto& daemon : response.daemons()) {
    table.AddRow({daemon.name(), StatusName(daemon.status()),
                  absl::StrCat(daemon.running_jobs(), "/", daemon.slots()),
                  absl::StrJoin(daemon.provisioners(), ","), TagsText(daemon.tags()),
                  daemon.key_name(), daemon.version(),
                  FormatAge(daemon.last_seen_time(), daemon.has_last_seen_time(), now)});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status ListJobs(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization, FindOrganization(session, name));
  api::v1::ListProvisionerJobsRequest request;
  request.set_organization_id(organization.id());
  ASSIGN_OR_RETURN(api::v1::ListProvisionerJobsResponse response,
                   Call<ProvisionerAdminService>(
                       session, &ProvisionerAdminService::Stub::ListProvisionerJobs, request));
  const absl::Time now = clock::SystemClock().Now();
  Table table({"JOB", "TYPE", "STATUS", "CREATED", "WORKER", "TAGS", "ERROR"});
  for (const auto& job : response.jobs()) {
    table.AddRow(
        {job.id(), job.type() == api::v1::JOB_TYPE_WORKSPACE_BUILD ? "build" : "import",
         JobStatusName(job.status()), FormatAge(job.create_time(), job.has_create_time(), now),
         job.worker_name().empty() ? "-" : job.worker_name(), TagsText(job.tags()), job.error()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status CreateKey(const CommandLine& line, const std::string& organization_name,
                       const std::string& name, const std::vector<std::string>& tags) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization,
                   FindOrganization(session, organization_name));
  api::v1::CreateProvisionerKeyRequest request;
  request.set_organization_id(organization.id());
  request.set_name(name);
  for (const std::string& text : tags) {
    ASSIGN_OR_RETURN(auto tag, SplitAssignment(text));
    (*request.mutable_tags())[tag.first] = tag.second;
  }
  ASSIGN_OR_RETURN(api::v1::CreateProvisionerKeyResponse response,
                   Call<ProvisionerAdminService>(
                       session, &ProvisionerAdminService::Stub::CreateProvisionerKey, request));
  if (line.output == OutputFormat::kJson) {
    std::cout << ToJson(response, false);
    return absl::OkStatus();
  }
  std::cerr << "this secret is shown once; give it to provisionerd as CODER_PROVISIONER_KEY:\n";
  std::cout << response.secret() << std::endl;
  return absl::OkStatus();
}

absl::Status ListKeys(const CommandLine& line, const std::string& organization_name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization,
                   FindOrganization(session, organization_name));
  api::v1::ListProvisionerKeysRequest request;
  request.set_organization_id(organization.id());
  ASSIGN_OR_RETURN(api::v1::ListProvisionerKeysResponse response,
                   Call<ProvisionerAdminService>(
                       session, &ProvisionerAdminService::Stub::ListProvisionerKeys, request));
  Table table({"NAME", "TAGS", "CREATED", "ID"});
  for (const auto& key : response.keys()) {
    table.AddRow({key.name(), TagsText(key.tags()),
                  FormatTime(key.create_time(), key.has_create_time()), key.id()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status RevokeKey(const CommandLine& line, const std::string& id) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::RevokeProvisionerKeyRequest request;
  request.set_id(id);
  return Call<ProvisionerAdminService>(
             session, &ProvisionerAdminService::Stub::RevokeProvisionerKey, request)
      .status();
}

void AddKeyCommands(CLI::App& provisioners, CommandLine& line,
                    const std::shared_ptr<std::string>& organization) {
  CLI::App* keys =
      provisioners.add_subcommand("keys", "What provisioner daemons authenticate with");
  keys->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto tags = std::make_shared<std::vector<std::string>>();
  CLI::App* create = AddCommand(
      *keys, line, "create", "Make a key; its secret is shown once",
      [&line, organization, name, tags] { return CreateKey(line, *organization, *name, *tags); });
  create->add_option("name", *name, "1-64 characters")->required();
  create->add_option("--tag", *tags, "What its daemons offer, name=value");
  create->add_option("--org", *organization, "Organization (the default one)");
  AddCommand(*keys, line, "list", "Keys in use", [&line, organization] {
    return ListKeys(line, *organization);
  })->add_option("--org", *organization, "Organization (the default one)");
  auto id = std::make_shared<std::string>();
  AddCommand(*keys, line, "revoke", "Cut off the daemons of a key",
             [&line, id] { return RevokeKey(line, *id); })
      ->add_option("id", *id, "As `keys list` shows it")
      ->required();
}

}  // namespace

void AddProvisionerCommands(CLI::App& root, CommandLine& line) {
  CLI::App* provisioners = root.add_subcommand("provisioners", "Who runs the builds");
  provisioners->require_subcommand(1);
  auto organization = std::make_shared<std::string>();
  AddCommand(*provisioners, line, "list", "Daemons", [&line, organization] {
    return ListDaemons(line, *organization);
  })->add_option("--org", *organization, "Organization (the default one)");
  AddCommand(*provisioners, line, "jobs", "Jobs, the newest first", [&line, organization] {
    return ListJobs(line, *organization);
  })->add_option("--org", *organization, "Organization (the default one)");
  AddKeyCommands(*provisioners, line, organization);
}

}  // namespace coder::cli
