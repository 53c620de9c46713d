#include "services/provisionerd/proto_convert.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"

namespace coder::provisionerd {
namespace {

namespace pb = provisioner::v1;

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

std::vector<NamedValue> Values(
    const google::protobuf::RepeatedPtrField<pb::ParameterValue>& values) {
  std::vector<NamedValue> named;
  for (const auto& value : values) named.push_back({value.name(), value.value()});
  return named;
}

std::vector<NamedValue> Values(
    const google::protobuf::RepeatedPtrField<pb::VariableValue>& values) {
  std::vector<NamedValue> named;
  for (const auto& value : values)
    named.push_back({value.name(), value.value(), value.sensitive()});
  return named;
}

absl::StatusOr<Transition> TransitionFromProto(events::v1::BuildTransition transition) {
  switch (transition) {
    case events::v1::BUILD_TRANSITION_START:
      return Transition::kStart;
    case events::v1::BUILD_TRANSITION_STOP:
      return Transition::kStop;
    case events::v1::BUILD_TRANSITION_DELETE:
      return Transition::kDelete;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("read the job: transition ", transition,
                       " is not known; this daemon is older than its coderd-api"));
  }
}

std::string RolesJson(const pb::WorkspaceBuild& build) {
  nlohmann::json roles = nlohmann::json::array();
  for (const std::string& role : build.owner_roles())
    roles.push_back({{"name", role}, {"org_id", ""}});
  return roles.dump();
}

BuildMetadata MetadataFromProto(const pb::WorkspaceBuild& build) {
  BuildMetadata metadata;
  metadata.coder_url = build.access_url();
  metadata.workspace_id = build.workspace_id();
  metadata.workspace_name = build.workspace_name();
  metadata.workspace_build_id = build.build_id();
  metadata.owner_id = build.owner_id();
  metadata.owner_name = build.owner_username();
  metadata.owner_full_name = build.owner_name();
  metadata.owner_email = build.owner_email();
  metadata.owner_login_type = "password";
  metadata.owner_groups.assign(build.owner_groups().begin(), build.owner_groups().end());
  metadata.owner_rbac_roles_json = RolesJson(build);
  metadata.template_id = build.template_id();
  metadata.template_name = build.template_name();
  metadata.template_version = build.template_version_name();
  metadata.template_version_id = build.template_version_id();
  return metadata;
}

absl::StatusOr<BuildRequest> BuildFromProto(const pb::Job& job) {
  const pb::WorkspaceBuild& build = job.workspace_build();
  BuildRequest request;
  request.archive_sha256 = job.source_sha256();
  ASSIGN_OR_RETURN(request.transition, TransitionFromProto(build.transition()));
  request.metadata = MetadataFromProto(build);
  request.parameters = Values(build.parameters());
  request.previous_parameters = Values(build.previous_parameters());
  request.variables = Values(build.variables());
  request.log_level = build.debug() ? LogLevel::kDebug : LogLevel::kInfo;
  return request;
}

ImportRequest ImportFromProto(const pb::Job& job) {
  const pb::TemplateImport& import = job.template_import();
  ImportRequest request;
  request.archive_sha256 = job.source_sha256();
  request.metadata.template_name = import.template_name();
  request.metadata.template_version = import.template_version_name();
  request.metadata.template_version_id = import.template_version_id();
  request.variables = Values(import.variables());
  return request;
}

pb::LogLevel ToProto(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return pb::LOG_LEVEL_TRACE;
    case LogLevel::kDebug:
      return pb::LOG_LEVEL_DEBUG;
    case LogLevel::kInfo:
      return pb::LOG_LEVEL_INFO;
    case LogLevel::kWarn:
      return pb::LOG_LEVEL_WARN;
    case LogLevel::kError:
      return pb::LOG_LEVEL_ERROR;
  }
  return pb::LOG_LEVEL_UNSPECIFIED;
}

pb::RichParameter ToProto(const RichParameter& parameter) {
  pb::RichParameter proto;
  proto.set_name(parameter.name);
  proto.set_display_name(parameter.display_name);
  proto.set_description(parameter.description);
  proto.set_type(parameter.type);
  proto.set_form_type(parameter.form_type);
  proto.set_mutable_(parameter.is_mutable);
  proto.set_ephemeral(parameter.ephemeral);
  proto.set_required(parameter.required);
  proto.set_default_value(parameter.default_value);
  proto.set_icon(parameter.icon);
  for (const ParameterOption& option : parameter.options) {
    pb::RichParameterOption* made = proto.add_options();
    made->set_name(option.name);
    made->set_description(option.description);
    made->set_value(option.value);
    made->set_icon(option.icon);
  }
  proto.set_validation_regex(parameter.validation_regex);
  proto.set_validation_error(parameter.validation_error);
  if (parameter.validation_min) proto.set_validation_min(*parameter.validation_min);
  if (parameter.validation_max) proto.set_validation_max(*parameter.validation_max);
  proto.set_validation_monotonic(parameter.validation_monotonic);
  proto.set_order(parameter.order);
  return proto;
}

pb::App ToProto(const WorkspaceApp& app) {
  pb::App proto;
  proto.set_slug(app.slug);
  proto.set_display_name(app.display_name);
  proto.set_url(app.url);
  proto.set_command(app.command);
  proto.set_icon(app.icon);
  proto.set_sharing_level(app.sharing_level);
  proto.set_external(app.external);
  proto.set_hidden(app.hidden);
  proto.set_order(app.order);
  return proto;
}

pb::Agent ToProto(const Agent& agent) {
  pb::Agent proto;
  proto.set_name(agent.name);
  proto.set_operating_system(agent.operating_system);
  proto.set_architecture(agent.architecture);
  proto.set_directory(agent.directory);
  proto.set_token(agent.token);
  proto.set_order(static_cast<int32_t>(agent.order));
  for (const WorkspaceApp& app : agent.apps) *proto.add_apps() = ToProto(app);
  return proto;
}

}  // namespace

absl::StatusOr<Job> JobFromProto(const pb::Job& job) {
  Job result;
  result.lease = {job.lease().job_id(), job.lease().token()};
  result.lease_duration = absl::Seconds(job.lease_duration().seconds()) +
                          absl::Nanoseconds(job.lease_duration().nanos());
  result.provisioner = job.provisioner();
  switch (job.work_case()) {
    case pb::Job::kTemplateImport:
      result.work = ImportFromProto(job);
      return result;
    case pb::Job::kWorkspaceBuild: {
      ASSIGN_OR_RETURN(result.work, BuildFromProto(job));
      return result;
    }
    case pb::Job::WORK_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("read job ", job.lease().job_id(),
                   ": no work known here; this daemon is older than its coderd-api"));
}

pb::Lease ToProto(const Lease& lease) {
  pb::Lease proto;
  proto.set_job_id(lease.job_id);
  proto.set_token(lease.token);
  return proto;
}

pb::LogLine ToProto(const TimedLogLine& timed) {
  pb::LogLine proto;
  *proto.mutable_time() = ToTimestamp(timed.time);
  proto.set_source(timed.line.source == LogSource::kProvisioner
                       ? pb::LOG_SOURCE_PROVISIONER
                       : pb::LOG_SOURCE_PROVISIONER_DAEMON);
  proto.set_level(ToProto(timed.line.level));
  proto.set_stage(timed.line.stage);
  proto.set_output(timed.line.text);
  return proto;
}

pb::Resource ToProto(const Resource& resource) {
  pb::Resource proto;
  proto.set_type(resource.type);
  proto.set_name(resource.name);
  proto.set_hide(resource.hide);
  proto.set_icon(resource.icon);
  proto.set_instance_type(resource.instance_type);
  proto.set_daily_cost(resource.daily_cost);
  for (const ResourceMetadata& item : resource.metadata) {
    pb::ResourceMetadata* made = proto.add_metadata();
    made->set_key(item.key);
    made->set_value(item.value);
    made->set_sensitive(item.sensitive);
  }
  for (const Agent& agent : resource.agents) *proto.add_agents() = ToProto(agent);
  return proto;
}

pb::TemplateImportResult ToProto(const ImportResult& result) {
  pb::TemplateImportResult proto;
  for (const RichParameter& parameter : result.parameters)
    *proto.add_parameters() = ToProto(parameter);
  for (const TemplateVariable& variable : result.variables) {
    pb::TemplateVariable* made = proto.add_variables();
    made->set_name(variable.name);
    made->set_description(variable.description);
    made->set_type(variable.type);
    made->set_default_value(variable.default_value);
    made->set_required(variable.required);
    made->set_sensitive(variable.sensitive);
  }
  for (const Resource& resource : result.start_resources)
    *proto.add_start_resources() = ToProto(resource);
  for (const Resource& resource : result.stop_resources)
    *proto.add_stop_resources() = ToProto(resource);
  proto.set_readme(result.readme);
  for (const auto& [key, value] : result.workspace_tags)
    (*proto.mutable_workspace_tags())[key] = value;
  return proto;
}

google::protobuf::RepeatedPtrField<pb::StageTiming> ToProto(const JobTimings& timings) {
  google::protobuf::RepeatedPtrField<pb::StageTiming> protos;
  for (const StageTiming& stage : timings.stages) {
    if (!stage.resource.empty()) continue;
    pb::StageTiming* made = protos.Add();
    made->set_stage(stage.stage);
    *made->mutable_start_time() = ToTimestamp(timings.start + stage.start);
    *made->mutable_end_time() = ToTimestamp(timings.start + stage.end);
  }
  return protos;
}

}  // namespace coder::provisionerd
