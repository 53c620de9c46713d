#include "cli/coderctl/lookup.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "coder/api/v1/organization.grpc.pb.h"
#include "coder/api/v1/template.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

std::string EnumWord(const std::string& name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

}  // namespace

absl::StatusOr<api::v1::Workspace> FindWorkspace(const Session& session, const std::string& name) {
  api::v1::GetWorkspaceRequest request;
  request.set_workspace(name);
  ASSIGN_OR_RETURN(api::v1::GetWorkspaceResponse response,
                   Call<api::v1::WorkspaceService>(
                       session, &api::v1::WorkspaceService::Stub::GetWorkspace, request));
  return std::move(*response.mutable_workspace());
}

absl::StatusOr<api::v1::Template> FindTemplate(const Session& session, const std::string& name,
                                               const std::string& organization) {
  api::v1::GetTemplateRequest request;
  request.set_template_(name);
  request.set_organization(organization.empty() ? "default" : organization);
  ASSIGN_OR_RETURN(api::v1::GetTemplateResponse response,
                   Call<api::v1::TemplateService>(
                       session, &api::v1::TemplateService::Stub::GetTemplate, request));
  return std::move(*response.mutable_template_());
}

absl::StatusOr<api::v1::Organization> FindOrganization(const Session& session,
                                                       const std::string& name) {
  api::v1::GetOrganizationRequest request;
  request.set_organization(name.empty() ? "default" : name);
  ASSIGN_OR_RETURN(api::v1::GetOrganizationResponse response,
                   Call<api::v1::OrganizationService>(
                       session, &api::v1::OrganizationService::Stub::GetOrganization, request));
  return std::move(*response.mutable_organization());
}

std::string TransitionName(events::v1::BuildTransition transition) {
  return EnumWord(events::v1::BuildTransition_Name(transition), "BUILD_TRANSITION_");
}

std::string JobStatusName(events::v1::JobStatus status) {
  return EnumWord(events::v1::JobStatus_Name(status), "JOB_STATUS_");
}

std::string ReasonName(events::v1::BuildReason reason) {
  return EnumWord(events::v1::BuildReason_Name(reason), "BUILD_REASON_");
}

std::string WorkspaceStatusName(api::v1::WorkspaceStatus status) {
  return EnumWord(api::v1::WorkspaceStatus_Name(status), "WORKSPACE_STATUS_");
}

absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("read '", text, "': not of the form name=value; for example region=eu"));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

}  // namespace coder::cli
