#include "services/coderd-api/proto_convert_provisioner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/events/build_enums.h"
#include "libs/events/proto_time.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

namespace pb = provisioner::v1;
using lifecycle::BuildTransition;

// As the values given with a template version are sealed (proto_convert_template).
constexpr absl::string_view kTemplateVariablePurpose = "template-variable";
constexpr size_t kMaxName = 64;
constexpr int kMaxSlots = 256;
constexpr int kMaxLines = 1000;
constexpr size_t kMaxStageBytes = 128;
constexpr size_t kMaxOutputBytes = 1024;
constexpr size_t kMaxErrorBytes = 1024;
constexpr size_t kMaxReadmeBytes = 1024 * 1024;

absl::Status BadField(absl::string_view attempt, absl::string_view field, absl::string_view why) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat(attempt, ": ", field, " ", why)), field, why);
}

// At most `limit` bytes, cut between characters, without the zero bytes no column takes.
std::string Fitting(const std::string& text, size_t limit) {
  size_t end = std::min(text.size(), limit);
  while (end > 0 && end < text.size() && (text[end] & 0xC0) == 0x80) --end;
  std::string fitting = text.substr(0, end);
  std::erase(fitting, '\0');
  return fitting;
}

storage::AgentRecord AgentFromProto(const pb::Agent& agent) {
  storage::AgentRecord record{.name = agent.name(),
                              .operating_system = agent.operating_system(),
                              .architecture = agent.architecture(),
                              .directory = agent.directory(),
                              .token = agent.token(),
                              .order = agent.order()};
  for (const pb::App& app : agent.apps()) {
    record.apps.push_back(
        {.slug = app.slug(),
         .display_name = app.display_name(),
         .url = app.url(),
         .command = app.command(),
         .icon = app.icon(),
         .sharing_level = app.sharing_level().empty() ? "owner" : app.sharing_level(),
         .external = app.external(),
         .hidden = app.hidden(),
         .order = app.order()});
  }
  return record;
}

void AppendResources(const google::protobuf::RepeatedPtrField<pb::Resource>& resources,
                     BuildTransition transition, std::vector<storage::ResourceRecord>& records) {
  for (const pb::Resource& resource : resources) {
    storage::ResourceRecord record{.transition = transition,
                                   .type = resource.type(),
                                   .name = resource.name(),
                                   .hide = resource.hide(),
                                   .icon = resource.icon(),
                                   .instance_type = resource.instance_type(),
                                   .daily_cost = resource.daily_cost()};
    for (const pb::ResourceMetadata& metadata : resource.metadata()) {
      record.metadata.push_back({metadata.key(), metadata.value(), metadata.sensitive()});
    }
    for (const pb::Agent& agent : resource.agents()) {
      record.agents.push_back(AgentFromProto(agent));
    }
    records.push_back(std::move(record));
  }
}

storage::ParameterRecord ParameterFromProto(const pb::RichParameter& parameter) {
  storage::ParameterRecord record;
  record.name = parameter.name();
  record.display_name = parameter.display_name();
  record.description = parameter.description();
  record.type = parameter.type();
  record.form_type = parameter.form_type();
  record.is_mutable = parameter.mutable_();
  record.ephemeral = parameter.ephemeral();
  record.required = parameter.required();
  record.default_value = parameter.default_value();
  record.icon = parameter.icon();
  for (const pb::RichParameterOption& option : parameter.options()) {
    record.options.push_back({option.name(), option.description(), option.value(), option.icon()});
  }
  record.validation_regex = parameter.validation_regex();
  record.validation_error = parameter.validation_error();
  if (parameter.has_validation_min()) record.validation_min = parameter.validation_min();
  if (parameter.has_validation_max()) record.validation_max = parameter.validation_max();
  record.validation_monotonic = parameter.validation_monotonic();
  record.order = parameter.order();
  return record;
}

void FillImport(const storage::ImportWork& work, pb::TemplateImport& import) {
  import.set_template_version_id(work.version.ToString());
  import.set_template_version_name(work.version_name);
  import.set_template_name(work.template_name);
}

void FillBuild(const storage::BuildWork& work, const std::string& access_url,
               pb::WorkspaceBuild& build) {
  build.set_build_id(work.build.ToString());
  build.set_build_number(work.build_number);
  build.set_transition(events::ToProto(work.transition));
  build.set_workspace_id(work.workspace.ToString());
  build.set_workspace_name(work.workspace_name);
  build.set_owner_id(work.owner.ToString());
  build.set_owner_username(work.owner_username);
  build.set_owner_name(work.owner_name);
  build.set_owner_email(work.owner_email);
  for (const std::string& role : work.owner_roles) build.add_owner_roles(role);
  build.set_template_id(work.template_id.ToString());
  build.set_template_name(work.template_name);
  build.set_template_version_id(work.version.ToString());
  build.set_template_version_name(work.version_name);
  const auto fill = [](const std::vector<storage::NamedValue>& values, auto* list) {
    for (const storage::NamedValue& value : values) {
      pb::ParameterValue* parameter = list->Add();
      parameter->set_name(value.name);
      parameter->set_value(value.value);
    }
  };
  fill(work.parameters, build.mutable_parameters());
  fill(work.previous_parameters, build.mutable_previous_parameters());
  build.set_access_url(access_url);
  build.set_debug(work.debug);
}

}  // namespace

absl::StatusOr<storage::DaemonHello> HelloFromProto(const pb::AcquireJobsRequest::Hello& hello) {
  constexpr absl::string_view kAttempt = "introduce daemon";
  if (hello.name().empty() || hello.name().size() > kMaxName) {
    return BadField(kAttempt, "hello.name", "must be 1 to 64 characters long");
  }
  if (hello.slots() < 1 || hello.slots() > kMaxSlots) {
    return BadField(kAttempt, "hello.slots", "must be 1 to 256");
  }
  if (hello.provisioners().empty()) {
    return BadField(kAttempt, "hello.provisioners", "must name at least one engine");
  }
  storage::DaemonHello record;
  record.name = hello.name();
  record.version = Fitting(hello.version(), kMaxStageBytes);
  record.slots = hello.slots();
  for (const std::string& provisioner : hello.provisioners()) {
    if (provisioner != "terraform" && provisioner != "echo") {
      return BadField(kAttempt, "hello.provisioners", "may hold \"terraform\" and \"echo\"");
    }
    record.provisioners.push_back(provisioner);
  }
  std::sort(record.provisioners.begin(), record.provisioners.end());
  return record;
}

absl::StatusOr<pb::Job> JobToProto(const storage::AcquiredJob& job, absl::Duration lease,
                                   const std::string& access_url, const crypto::Keyring& keyring) {
  pb::Job message;
  message.mutable_lease()->set_job_id(job.id.ToString());
  message.mutable_lease()->set_token(job.token.ToString());
  *message.mutable_lease_duration() = events::ToProto(lease);
  message.set_organization_id(job.organization.ToString());
  message.set_provisioner(job.provisioner);
  *message.mutable_create_time() = events::ToProto(job.created_at);
  message.set_source_sha256(job.source_sha256);
  google::protobuf::RepeatedPtrField<pb::VariableValue>* variables = nullptr;
  if (const auto* import = std::get_if<storage::ImportWork>(&job.work)) {
    FillImport(*import, *message.mutable_template_import());
    variables = message.mutable_template_import()->mutable_variables();
  } else {
    FillBuild(std::get<storage::BuildWork>(job.work), access_url,
              *message.mutable_workspace_build());
    variables = message.mutable_workspace_build()->mutable_variables();
  }
  for (const storage::SealedVariable& variable : job.variables) {
    ASSIGN_OR_RETURN(std::string value,
                     keyring.Open(variable.sealed_value, kTemplateVariablePurpose));
    pb::VariableValue* opened = variables->Add();
    opened->set_name(variable.name);
    opened->set_value(std::move(value));
    opened->set_sensitive(variable.sensitive);
  }
  return message;
}

absl::StatusOr<storage::LeaseClaim> ClaimFromProto(const pb::Lease& lease,
                                                   lifecycle::OrganizationId organization) {
  const auto job = lifecycle::JobId::Parse(lease.job_id());
  if (!job.ok()) return BadField("read lease", "lease.job_id", "must be a job's id");
  const auto token = lifecycle::LeaseToken::Parse(lease.token());
  if (!token.ok()) {
    return BadField("read lease", "lease.token", "must be the token the job came with");
  }
  return storage::LeaseClaim{*job, *token, organization};
}

absl::StatusOr<std::vector<storage::JobLogLine>> LogLinesFromProto(
    const pb::AppendLogsRequest& request) {
  if (request.lines_size() > kMaxLines) {
    return BadField("append logs", "lines", "may be at most 1,000; send them in several calls");
  }
  if (request.first_line() < 0) {
    return BadField("append logs", "first_line", "must not be negative");
  }
  std::vector<storage::JobLogLine> lines;
  for (const pb::LogLine& line : request.lines()) {
    storage::JobLogLine record;
    record.time = events::FromProto(line.time());
    record.source = line.source() == pb::LOG_SOURCE_PROVISIONER_DAEMON
                        ? storage::LogSource::kProvisionerDaemon
                        : storage::LogSource::kProvisioner;
    // The words of both are in the same order; what is not known is information.
    const bool known = line.level() >= pb::LOG_LEVEL_TRACE && line.level() <= pb::LOG_LEVEL_ERROR;
    record.level = known ? static_cast<storage::LogLevel>(line.level() - pb::LOG_LEVEL_TRACE)
                         : storage::LogLevel::kInfo;
    record.stage = Fitting(line.stage(), kMaxStageBytes);
    record.output = Fitting(line.output(), kMaxOutputBytes);
    lines.push_back(std::move(record));
  }
  return lines;
}

absl::StatusOr<storage::JobFailure> FailureFromProto(const pb::FailJobRequest& request) {
  if (request.error().empty() && !request.canceled()) {
    return BadField("fail job", "error", "must say why the job failed, in one sentence");
  }
  storage::JobFailure failure;
  failure.error = request.error().empty() ? "canceled" : Fitting(request.error(), kMaxErrorBytes);
  failure.error_code = Fitting(request.error_code(), kMaxStageBytes);
  failure.canceled = request.canceled();
  return failure;
}

storage::ImportOutcome ImportFromProto(const pb::TemplateImportResult& result) {
  storage::ImportOutcome outcome;
  for (const pb::RichParameter& parameter : result.parameters()) {
    outcome.parameters.push_back(ParameterFromProto(parameter));
  }
  for (const pb::TemplateVariable& variable : result.variables()) {
    outcome.variables.push_back({variable.name(), variable.description(), variable.type(),
                                 variable.default_value(), variable.required(),
                                 variable.sensitive()});
  }
  AppendResources(result.start_resources(), BuildTransition::kStart, outcome.resources);
  AppendResources(result.stop_resources(), BuildTransition::kStop, outcome.resources);
  outcome.readme = Fitting(result.readme(), kMaxReadmeBytes);
  outcome.workspace_tags.insert(result.workspace_tags().begin(), result.workspace_tags().end());
  return outcome;
}

std::vector<storage::ResourceRecord> ResourcesFromProto(const pb::WorkspaceBuildResult& result) {
  std::vector<storage::ResourceRecord> records;
  AppendResources(result.resources(), BuildTransition::kStart, records);
  return records;
}

std::vector<storage::StageTiming> TimingsFromProto(
    const google::protobuf::RepeatedPtrField<pb::StageTiming>& timings) {
  std::vector<storage::StageTiming> records;
  for (const pb::StageTiming& timing : timings) {
    records.push_back({timing.stage(), events::FromProto(timing.start_time()),
                       events::FromProto(timing.end_time())});
  }
  return records;
}

}  // namespace coder::api
