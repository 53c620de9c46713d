#include "services/coderd-api/proto_convert_template.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/lifecycle/job_tags.h"
#include "libs/lifecycle/names.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/proto_convert_job.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using lifecycle::kMaxDescriptionLength;
using lifecycle::kMaxIconLength;

constexpr size_t kMaxVariables = 256;
constexpr size_t kMaxVariableNameLength = 128;
constexpr size_t kMaxVariableValueLength = 64 * 1024;

absl::Status CheckAppearance(const std::string& display_name, const std::string& description,
                             const std::string& icon) {
  RETURN_IF_ERROR(lifecycle::CheckDisplayName("display_name", display_name));
  RETURN_IF_ERROR(lifecycle::CheckText("description", description, kMaxDescriptionLength));
  return lifecycle::CheckText("icon", icon, kMaxIconLength);
}

absl::Status CheckSettings(const storage::TemplateSettings& settings) {
  RETURN_IF_ERROR(lifecycle::CheckName("name", settings.name));
  RETURN_IF_ERROR(CheckAppearance(settings.display_name, settings.description, settings.icon));
  return lifecycle::CheckWorkspacePolicy(settings.policy);
}

absl::StatusOr<std::vector<storage::SealedValue>> SealVariables(
    const v1::CreateTemplateVersionRequest& request, const crypto::Keyring& keyring) {
  if (static_cast<size_t>(request.variables_size()) > kMaxVariables) {
    return InvalidField("variables", absl::StrCat(request.variables_size(),
                                                  " are too many; give at most ", kMaxVariables));
  }
  std::vector<storage::SealedValue> sealed;
  for (const v1::VariableValue& variable : request.variables()) {
    if (variable.name().empty()) return InvalidField("variables.name", "is empty; name it");
    RETURN_IF_ERROR(
        lifecycle::CheckText("variables.name", variable.name(), kMaxVariableNameLength));
    RETURN_IF_ERROR(
        lifecycle::CheckText("variables.value", variable.value(), kMaxVariableValueLength));
    sealed.push_back({variable.name(), keyring.Seal(variable.value(), kTemplateVariablePurpose)});
  }
  return sealed;
}

}  // namespace

std::string EtagOf(const storage::TemplateRecord& record) { return absl::StrCat(record.revision); }

v1::TemplateVersion VersionToProto(const storage::TemplateVersionRecord& record) {
  v1::TemplateVersion proto;
  proto.set_id(record.id.ToString());
  if (record.template_id) proto.set_template_id(record.template_id->ToString());
  proto.set_organization_id(record.organization.ToString());
  proto.set_name(record.name);
  proto.set_message(record.message);
  proto.set_readme(record.readme);
  *proto.mutable_job() = JobViewToProto(record.job);
  proto.set_creator_id(record.creator.ToString());
  *proto.mutable_create_time() = events::ToProto(record.created_at);
  if (record.archived_at) *proto.mutable_archive_time() = events::ToProto(*record.archived_at);
  return proto;
}

v1::TemplateVersionParameter ParameterToProto(const storage::ParameterRecord& record) {
  v1::TemplateVersionParameter proto;
  proto.set_name(record.name);
  proto.set_display_name(record.display_name);
  proto.set_description(record.description);
  proto.set_type(record.type);
  proto.set_form_type(record.form_type);
  proto.set_mutable_(record.is_mutable);
  proto.set_ephemeral(record.ephemeral);
  proto.set_required(record.required);
  proto.set_default_value(record.default_value);
  proto.set_icon(record.icon);
  for (const storage::ParameterOptionRecord& option : record.options) {
    v1::TemplateVersionParameterOption* choice = proto.add_options();
    choice->set_name(option.name);
    choice->set_description(option.description);
    choice->set_value(option.value);
    choice->set_icon(option.icon);
  }
  proto.set_validation_regex(record.validation_regex);
  proto.set_validation_error(record.validation_error);
  if (record.validation_min) proto.set_validation_min(*record.validation_min);
  if (record.validation_max) proto.set_validation_max(*record.validation_max);
  proto.set_validation_monotonic(record.validation_monotonic);
  return proto;
}

absl::StatusOr<storage::TemplateSettings> WithUpdate(storage::TemplateSettings settings,
                                                     const v1::Template& from,
                                                     const google::protobuf::FieldMask& mask) {
  if (mask.paths().empty()) {
    return InvalidField("update_mask", "is empty; name the fields to change");
  }
  for (const std::string& path : mask.paths()) {
    RETURN_IF_ERROR(SetTemplateField(path, from, settings));
  }
  RETURN_IF_ERROR(CheckSettings(settings));
  return settings;
}

absl::StatusOr<storage::NewTemplate> NewTemplateFromProto(
    const v1::CreateTemplateRequest& request) {
  storage::NewTemplate made;
  ASSIGN_OR_RETURN(made.organization, IdField<lifecycle::OrganizationId>(
                                          "organization_id", request.organization_id()));
  ASSIGN_OR_RETURN(made.version, IdField<lifecycle::TemplateVersionId>(
                                     "template_version_id", request.template_version_id()));
  made.name = request.name();
  made.display_name = request.display_name();
  made.description = request.description();
  made.icon = request.icon();
  if (request.has_default_ttl()) made.default_ttl = events::FromProto(request.default_ttl());
  RETURN_IF_ERROR(lifecycle::CheckName("name", made.name));
  RETURN_IF_ERROR(CheckAppearance(made.display_name, made.description, made.icon));
  RETURN_IF_ERROR(lifecycle::CheckWorkspacePolicy({.default_ttl = made.default_ttl}));
  return made;
}

absl::StatusOr<storage::NewTemplateVersion> NewVersionFromProto(
    const v1::CreateTemplateVersionRequest& request, const crypto::Keyring& keyring) {
  storage::NewTemplateVersion version;
  ASSIGN_OR_RETURN(version.organization, IdField<lifecycle::OrganizationId>(
                                             "organization_id", request.organization_id()));
  if (!request.template_id().empty()) {
    ASSIGN_OR_RETURN(version.template_id,
                     IdField<lifecycle::TemplateId>("template_id", request.template_id()));
  }
  ASSIGN_OR_RETURN(version.file, IdField<lifecycle::FileId>("file_id", request.file_id()));
  version.name = request.name();
  if (!version.name.empty()) {
    RETURN_IF_ERROR(lifecycle::CheckVersionName("name", version.name));
  }
  version.message = request.message();
  RETURN_IF_ERROR(lifecycle::CheckText("message", version.message, kMaxDescriptionLength));
  version.provisioner = request.provisioner();
  if (version.provisioner != "terraform" && version.provisioner != "echo") {
    return InvalidField("provisioner", "is neither \"terraform\" nor \"echo\"; use one of them");
  }
  version.tags = storage::Tags(request.tags().begin(), request.tags().end());
  RETURN_IF_ERROR(lifecycle::CheckJobTags("tags", version.tags));
  ASSIGN_OR_RETURN(version.variables, SealVariables(request, keyring));
  return version;
}

}  // namespace coder::api
