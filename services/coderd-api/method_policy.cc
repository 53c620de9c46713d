#include "services/coderd-api/method_policy.h"

#include <iterator>

#include "absl/container/flat_hash_map.h"

namespace coder::api {
namespace {

using enum Admission;
using enum auth::Action;
using enum CheckedAt;
using enum Effect;

constexpr MethodRule kRules[] = {
    {"/coder.api.v1.AuthService/GetFirstUser", kAnybody, kUsePublic, kGate},
    {"/coder.api.v1.AuthService/CreateFirstUser", kAnybody, kUsePublic, kGate},
    {"/coder.api.v1.AuthService/Login", kAnybody, kUsePublic, kGate},
    {"/coder.api.v1.AuthService/Logout", kUsers, kUseOwnAccount, kGate, kRights},
    {"/coder.api.v1.AuthService/WhoAmI", kUsers, kUseOwnAccount, kGate},
    {"/coder.api.v1.AuthService/CreateToken", kUsers, kUseOwnAccount, kGate},
    {"/coder.api.v1.AuthService/ListTokens", kUsers, kUseOwnAccount, kGate},
    {"/coder.api.v1.AuthService/RevokeToken", kUsers, kRevokeToken, kObject, kRights},
    {"/coder.api.v1.UserService/CreateUser", kUsers, kCreateUser, kGate},
    {"/coder.api.v1.UserService/GetUser", kUsers, kReadUser, kObject},
    {"/coder.api.v1.UserService/ListUsers", kUsers, kReadUser, kObject},
    {"/coder.api.v1.UserService/UpdateUser", kUsers, kUpdateUser, kObject},
    {"/coder.api.v1.UserService/SetUserRoles", kUsers, kSetUserRoles, kObject, kRights},
    {"/coder.api.v1.UserService/SetUserStatus", kUsers, kSetUserStatus, kObject, kRights},
    {"/coder.api.v1.UserService/ChangePassword", kUsers, kChangeOwnPassword, kObject, kRights},
    {"/coder.api.v1.UserService/DeleteUser", kUsers, kDeleteUser, kObject, kRights},
    {"/coder.api.v1.OrganizationService/CreateOrganization", kUsers, kCreateOrganization, kGate},
    {"/coder.api.v1.OrganizationService/GetOrganization", kUsers, kReadOrganization, kObject},
    {"/coder.api.v1.OrganizationService/ListOrganizations", kUsers, kReadOrganization, kObject},
    {"/coder.api.v1.OrganizationService/UpdateOrganization", kUsers, kUpdateOrganization, kObject},
    {"/coder.api.v1.OrganizationService/DeleteOrganization", kUsers, kDeleteOrganization, kObject,
     kRights},
    {"/coder.api.v1.OrganizationService/ListMembers", kUsers, kReadMembers, kObject},
    {"/coder.api.v1.OrganizationService/AddMember", kUsers, kWriteMembers, kObject, kRights},
    {"/coder.api.v1.OrganizationService/SetMemberRoles", kUsers, kWriteMembers, kObject, kRights},
    {"/coder.api.v1.OrganizationService/RemoveMember", kUsers, kWriteMembers, kObject, kRights},
    {"/coder.api.v1.DeploymentService/GetDeploymentInfo", kAnybody, kUsePublic, kGate},
    {"/coder.api.v1.DeploymentService/ListExperiments", kUsers, kUseOwnAccount, kGate},
    {"/coder.api.v1.TemplateService/UploadFile", kUsers, kCreateTemplate, kObject},
    {"/coder.api.v1.TemplateService/DownloadTemplateVersion", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.TemplateService/CreateTemplateVersion", kUsers, kCreateTemplate, kObject},
    {"/coder.api.v1.TemplateService/GetTemplateVersion", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/ListTemplateVersions", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/ListTemplateVersionParameters", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/ListTemplateVersionResources", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/CancelTemplateVersion", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.TemplateService/ArchiveTemplateVersion", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.TemplateService/CreateTemplate", kUsers, kCreateTemplate, kObject},
    {"/coder.api.v1.TemplateService/GetTemplate", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/ListTemplates", kUsers, kReadTemplate, kObject},
    {"/coder.api.v1.TemplateService/UpdateTemplate", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.TemplateService/PromoteTemplateVersion", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.TemplateService/DeleteTemplate", kUsers, kDeleteTemplate, kObject},
    {"/coder.api.v1.WorkspaceService/CreateWorkspace", kUsers, kCreateWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/GetWorkspace", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/ListWorkspaces", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/UpdateWorkspace", kUsers, kUpdateWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/ExtendWorkspace", kUsers, kUpdateWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/SetWorkspaceDormant", kUsers, kUpdateWorkspace, kObject},
    {"/coder.api.v1.WorkspaceService/ExplainSchedule", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.ScheduleService/PreviewSchedule", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.ScheduleService/SkipNextAutostart", kUsers, kUpdateWorkspace, kObject},
    {"/coder.api.v1.ScheduleService/RecordActivity", kUsers, kUpdateWorkspace, kObject},
    {"/coder.api.v1.ScheduleService/GetQuietHours", kUsers, kReadUser, kObject},
    {"/coder.api.v1.ScheduleService/SetQuietHours", kUsers, kUpdateUser, kObject},
    {"/coder.api.v1.ScheduleService/CreateBlackout", kUsers, kUpdateOrganization, kObject},
    {"/coder.api.v1.ScheduleService/ListBlackouts", kUsers, kReadOrganization, kObject},
    {"/coder.api.v1.ScheduleService/DeleteBlackout", kUsers, kUpdateOrganization, kObject},
    {"/coder.api.v1.BuildService/CreateWorkspaceBuild", kUsers, kBuildWorkspace, kObject},
    {"/coder.api.v1.BuildService/GetWorkspaceBuild", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.BuildService/ListWorkspaceBuilds", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.BuildService/CancelWorkspaceBuild", kUsers, kBuildWorkspace, kObject},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildParameters", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildResources", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.BuildService/ResolveLateState", kUsers, kUpdateTemplate, kObject},
    {"/coder.api.v1.BuildService/StreamJobLogs", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.ProvisionerAdminService/CreateProvisionerKey", kUsers, kWriteProvisionerKeys,
     kObject},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerKeys", kUsers, kReadProvisionerKeys,
     kObject},
    {"/coder.api.v1.ProvisionerAdminService/RevokeProvisionerKey", kUsers, kWriteProvisionerKeys,
     kObject, kRights},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerDaemons", kUsers, kReadProvisioners,
     kObject},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerJobs", kUsers, kReadProvisioners,
     kObject},
    {"/coder.api.v1.ProvisionerAdminService/GetProvisionerJob", kUsers, kReadProvisioners, kObject},
    {"/coder.api.v1.WatchService/WatchAllWorkspaceBuilds", kUsers, kReadWorkspace, kObject},
    {"/coder.api.v1.WatchService/GetBuildStreamStatus", kUsers, kReadBuildStreamStatus, kGate},
    {"/coder.provisioner.v1.ProvisionerService/AcquireJobs", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/ReleaseJob", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/Heartbeat", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/AppendLogs", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/DownloadSource", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/DownloadState", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/UploadState", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/CompleteJob", kProvisioners, kRunJobs, kObject},
    {"/coder.provisioner.v1.ProvisionerService/FailJob", kProvisioners, kRunJobs, kObject},
    {"/coder.lifecycle.v1.LifecycleService/StreamLifecycleCandidates", kServices, kRunLifecycle,
     kGate},
    {"/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions", kServices, kRunLifecycle, kGate},
};

}  // namespace

const MethodRule* FindMethodRule(absl::string_view method) {
  static const auto* const index = [] {
    auto* rules = new absl::flat_hash_map<absl::string_view, const MethodRule*>();
    for (const MethodRule& rule : kRules) rules->emplace(rule.method, &rule);
    return rules;
  }();
  const auto found = index->find(method);
  return found == index->end() ? nullptr : found->second;
}

std::vector<const MethodRule*> AllMethodRules() {
  std::vector<const MethodRule*> rules;
  for (const MethodRule& rule : kRules) rules.push_back(&rule);
  return rules;
}

}  // namespace coder::api
