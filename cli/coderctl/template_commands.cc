#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/job_log.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/template_policy.h"
#include "cli/coderctl/variables_file.h"
#include "coder/api/v1/template.grpc.pb.h"
#include "libs/archive/template_archive.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::TemplateService;

constexpr size_t kChunkBytes = 64 * 1024;

struct PushOptions {
  std::string directory = ".";
  std::string name;
  std::string organization;
  std::string provisioner = "terraform";
  std::string version_name;
  std::string message;
  std::vector<std::string> variables;
  std::string variables_file;
  std::vector<std::string> tags;
  bool no_activate = false;
};

absl::StatusOr<std::string> UploadArchive(const Session& session,
                                          const std::string& organization_id,
                                          const std::string& archive) {
  const auto stub = TemplateService::NewStub(session.channel());
  grpc::ClientContext context;
  session.PrepareCall(context);
  api::v1::UploadFileResponse response;
  const auto writer = stub->UploadFile(&context, &response);
  api::v1::UploadFileRequest request;
  request.mutable_info()->set_media_type("application/gzip");
  request.mutable_info()->set_organization_id(organization_id);
  bool open = writer->Write(request);
  for (size_t at = 0; open && at < archive.size(); at += kChunkBytes) {
    request.set_chunk(archive.substr(at, kChunkBytes));
    open = writer->Write(request);
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return server::StatusFromGrpc(status);
  return response.file_id();
}

// What the file and the options give; an option goes before the file.
absl::StatusOr<VariableValues> Variables(const PushOptions& options) {
  VariableValues values;
  if (!options.variables_file.empty()) {
    ASSIGN_OR_RETURN(values, ReadVariablesFile(options.variables_file));
  }
  for (const std::string& text : options.variables) {
    ASSIGN_OR_RETURN(auto variable, SplitAssignment(text));
    values[variable.first] = variable.second;
  }
  return values;
}

absl::StatusOr<std::string> CreateVersion(const Session& session, const PushOptions& options,
                                          const VariableValues& variables,
                                          const std::string& organization_id,
                                          const std::string& template_id,
                                          const std::string& file_id) {
  api::v1::CreateTemplateVersionRequest request;
  request.set_organization_id(organization_id);
  request.set_template_id(template_id);
  request.set_file_id(file_id);
  request.set_name(options.version_name);
  request.set_message(options.message);
  request.set_provisioner(options.provisioner);
  for (const std::string& text : options.tags) {
    ASSIGN_OR_RETURN(auto tag, SplitAssignment(text));
    (*request.mutable_tags())[tag.first] = tag.second;
  }
  for (const auto& [name, value] : variables) {
    api::v1::VariableValue* variable = request.add_variables();
    variable->set_name(name);
    variable->set_value(value);
  }
  ASSIGN_OR_RETURN(
      api::v1::CreateTemplateVersionResponse response,
      Call<TemplateService>(session, &TemplateService::Stub::CreateTemplateVersion, request));
  RETURN_IF_ERROR(FollowJob(session, response.template_version().job().id()));
  return response.template_version().id();
}

absl::Status Activate(const Session& session, const std::string& template_id,
                      const std::string& version_id) {
  api::v1::PromoteTemplateVersionRequest request;
  request.set_template_id(template_id);
  request.set_template_version_id(version_id);
  return Call<TemplateService>(session, &TemplateService::Stub::PromoteTemplateVersion, request)
      .status();
}

absl::Status CreateTemplate(const Session& session, const std::string& organization_id,
                            const std::string& name, const std::string& version_id) {
  api::v1::CreateTemplateRequest request;
  request.set_organization_id(organization_id);
  request.set_name(name);
  request.set_template_version_id(version_id);
  return Call<TemplateService>(session, &TemplateService::Stub::CreateTemplate, request).status();
}

std::string DirectoryName(const std::string& directory) {
  return std::filesystem::absolute(directory).lexically_normal().filename().string();
}

absl::Status Push(const CommandLine& line, const PushOptions& options) {
  ASSIGN_OR_RETURN(const VariableValues variables, Variables(options));
  ASSIGN_OR_RETURN(std::string archive, archive::PackTemplate(options.directory));
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Organization organization,
                   FindOrganization(session, options.organization));
  const std::string name = options.name.empty() ? DirectoryName(options.directory) : options.name;
  const auto existing = FindTemplate(session, name, organization.id());
  if (!existing.ok() && existing.status().code() != absl::StatusCode::kNotFound) {
    return existing.status();
  }
  const std::string template_id = existing.ok() ? existing->id() : "";
  std::cerr << "uploading " << archive.size() << " bytes of " << options.directory << "\n";
  ASSIGN_OR_RETURN(std::string file_id, UploadArchive(session, organization.id(), archive));
  ASSIGN_OR_RETURN(std::string version_id, CreateVersion(session, options, variables,
                                                         organization.id(), template_id, file_id));
  if (template_id.empty()) {
    RETURN_IF_ERROR(CreateTemplate(session, organization.id(), name, version_id));
    std::cerr << "created template " << name << "\n";
  } else if (!options.no_activate) {
    RETURN_IF_ERROR(Activate(session, template_id, version_id));
    std::cerr << "template " << name << " now uses the new version\n";
  }
  ASSIGN_OR_RETURN(api::v1::Template result, FindTemplate(session, name, organization.id()));
  if (line.output == OutputFormat::kJson) std::cout << ToJson(result, false);
  return absl::OkStatus();
}

absl::Status ListTemplates(const CommandLine& line) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::ListTemplatesRequest request;
  request.set_page_size(500);
  api::v1::ListTemplatesResponse all;
  do {
    ASSIGN_OR_RETURN(
        api::v1::ListTemplatesResponse page,
        Call<TemplateService>(session, &TemplateService::Stub::ListTemplates, request));
    all.mutable_templates()->MergeFrom(page.templates());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  const absl::Time now = clock::SystemClock().Now();
  Table table({"NAME", "ORGANIZATION", "PROVISIONER", "WORKSPACES", "UPDATED"});
  for (const auto& item : all.templates()) {
    table.AddRow({item.name(), item.organization_name(), item.provisioner(),
                  std::to_string(item.workspace_count()),
                  FormatAge(item.update_time(), item.has_update_time(), now)});
  }
  Print(line.output, table, all);
  return absl::OkStatus();
}

absl::Status ListVersions(const CommandLine& line, const std::string& name,
                          const std::string& organization) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, organization));
  api::v1::ListTemplateVersionsRequest request;
  request.set_template_id(found.id());
  request.set_page_size(500);
  request.set_include_archived(true);
  ASSIGN_OR_RETURN(
      api::v1::ListTemplateVersionsResponse response,
      Call<TemplateService>(session, &TemplateService::Stub::ListTemplateVersions, request));
  const absl::Time now = clock::SystemClock().Now();
  Table table({"VERSION", "ACTIVE", "IMPORT", "CREATED", "MESSAGE", "ID"});
  for (const auto& version : response.template_versions()) {
    table.AddRow({version.name(), version.id() == found.active_version_id() ? "yes" : "",
                  JobStatusName(version.job().status()),
                  FormatAge(version.create_time(), version.has_create_time(), now),
                  version.message(), version.id()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status ListParameters(const CommandLine& line, const std::string& name,
                            const std::string& organization) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, organization));
  api::v1::ListTemplateVersionParametersRequest request;
  request.set_template_version_id(found.active_version_id());
  ASSIGN_OR_RETURN(api::v1::ListTemplateVersionParametersResponse response,
                   Call<TemplateService>(
                       session, &TemplateService::Stub::ListTemplateVersionParameters, request));
  Table table({"NAME", "TYPE", "DEFAULT", "MUTABLE", "DESCRIPTION"});
  for (const auto& parameter : response.parameters()) {
    table.AddRow({parameter.name(), parameter.type(),
                  parameter.required() ? "(required)" : parameter.default_value(),
                  parameter.mutable_() ? "yes" : "no", parameter.description()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status DeleteTemplate(const CommandLine& line, const std::string& name,
                            const std::string& organization) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, organization));
  api::v1::DeleteTemplateRequest request;
  request.set_template_id(found.id());
  return Call<TemplateService>(session, &TemplateService::Stub::DeleteTemplate, request).status();
}

absl::Status Promote(const CommandLine& line, const std::string& name,
                     const std::string& organization, const std::string& version_id) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, organization));
  return Activate(session, found.id(), version_id);
}

struct EditOptions {
  std::string name;
  std::string organization;
  /// Field and text, as given.
  std::vector<std::pair<std::string, std::string>> changes;
};

void PrintPolicy(const CommandLine& line, const api::v1::Template& item) {
  Table table({"FIELD", "VALUE"});
  table.AddRow({"name", item.name()});
  table.AddRow({"organization", item.organization_name()});
  for (const PolicyField& field : PolicyFields()) {
    table.AddRow({field.name, PolicyFieldText(field.name, item)});
  }
  Print(line.output, table, item);
}

absl::Status Show(const CommandLine& line, const std::string& name,
                  const std::string& organization) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found, FindTemplate(session, name, organization));
  PrintPolicy(line, found);
  return absl::OkStatus();
}

absl::Status Edit(const CommandLine& line, const EditOptions& options) {
  api::v1::UpdateTemplateRequest request;
  for (const auto& [field, text] : options.changes) {
    RETURN_IF_ERROR(SetPolicyField(field, text, *request.mutable_template_()));
    request.mutable_update_mask()->add_paths(field);
  }
  if (options.changes.empty()) {
    return absl::InvalidArgumentError("edit template: nothing is to change; give an option");
  }
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::Template found,
                   FindTemplate(session, options.name, options.organization));
  request.mutable_template_()->set_id(found.id());
  ASSIGN_OR_RETURN(api::v1::UpdateTemplateResponse response,
                   Call<TemplateService>(session, &TemplateService::Stub::UpdateTemplate, request));
  PrintPolicy(line, response.template_());
  return absl::OkStatus();
}

void AddEdit(CLI::App& templates, CommandLine& line) {
  auto edit = std::make_shared<EditOptions>();
  CLI::App* command =
      AddCommand(templates, line, "edit", "Change what a template says of its workspaces' lives",
                 [&line, edit] { return Edit(line, *edit); });
  command->add_option("template", edit->name, "Id or name")->required();
  command->add_option("--org", edit->organization, "Organization (the default one)");
  for (const PolicyField& field : PolicyFields()) {
    command->add_option_function<std::string>(
        absl::StrCat("--", absl::StrReplaceAll(field.name, {{"_", "-"}})),
        [edit, &field](const std::string& text) { edit->changes.emplace_back(field.name, text); },
        field.help);
  }
}

void AddPush(CLI::App& templates, CommandLine& line) {
  auto push = std::make_shared<PushOptions>();
  CLI::App* command = AddCommand(templates, line, "push",
                                 "Upload a folder, import it and make it the active version",
                                 [&line, push] { return Push(line, *push); });
  command->add_option("directory", push->directory, "The folder of the template (.)");
  command->add_option("--name", push->name, "Name of the template (the folder's)");
  command->add_option("--org", push->organization, "Organization (the default one)");
  command->add_option("--provisioner", push->provisioner, "terraform or echo")
      ->check(CLI::IsMember({"terraform", "echo"}));
  command->add_option("--version-name", push->version_name, "Name of the version (made up)");
  command->add_option("--message", push->message, "What changed");
  command->add_option("--variable", push->variables,
                      "Terraform variable, name=value; one not given keeps the active version's");
  command->add_option("--variables-file", push->variables_file,
                      "JSON object of Terraform variables; --variable goes before it");
  command->add_option("--tag", push->tags, "Which provisioners may run it, name=value");
  command->add_flag("--no-activate", push->no_activate, "Do not make it the active version");
}

}  // namespace

void AddTemplateCommands(CLI::App& root, CommandLine& line) {
  CLI::App* templates = root.add_subcommand("templates", "What workspaces are made from");
  templates->require_subcommand(1);
  AddPush(*templates, line);
  AddCommand(*templates, line, "list", "Templates you may use",
             [&line] { return ListTemplates(line); });
  auto name = std::make_shared<std::string>();
  auto organization = std::make_shared<std::string>();
  const auto named = [&](const char* verb, const char* description,
                         std::function<absl::Status()> run) {
    CLI::App* command = AddCommand(*templates, line, verb, description, std::move(run));
    command->add_option("template", *name, "Id or name")->required();
    command->add_option("--org", *organization, "Organization (the default one)");
    return command;
  };
  named("versions", "Versions, the newest first",
        [&line, name, organization] { return ListVersions(line, *name, *organization); });
  named("parameters", "What the active version asks",
        [&line, name, organization] { return ListParameters(line, *name, *organization); });
  named("show", "What it says of its workspaces' lives",
        [&line, name, organization] { return Show(line, *name, *organization); });
  AddEdit(*templates, line);
  named("delete", "Delete a template without workspaces",
        [&line, name, organization] { return DeleteTemplate(line, *name, *organization); });
  auto version = std::make_shared<std::string>();
  named("promote", "Make a version the active one",
        [&line, name, organization, version] {
          return Promote(line, *name, *organization, *version);
        })
      ->add_option("version", *version, "Id of the version")
      ->required();
}

}  // namespace coder::cli
