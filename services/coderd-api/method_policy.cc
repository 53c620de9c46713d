#include "services/coderd-api/method_policy.h"

#include <iterator>

#include "absl/container/flat_hash_map.h"

namespace coder::api {
namespace {

using enum Admission;
using enum auth::Action;
using enum CheckedAt;
using enum Effect;
using enum storage::AuditAction;

// Services as their certificates name them.
constexpr absl::string_view kProvisionerd = "provisionerd";
constexpr absl::string_view kScheduler = "autostart-scheduler";

constexpr AuditRule kRead{AuditRule::Kind::kRead};
constexpr AuditRule kUpkeep{AuditRule::Kind::kUpkeep};

constexpr AuditRule Write(storage::AuditAction action, absl::string_view resource,
                          absl::string_view id_field = "", absl::string_view name_field = "") {
  return {AuditRule::Kind::kWrite, action, resource, id_field, name_field};
}

constexpr MethodRule kRules[] = {
    {"/coder.api.v1.AuthService/GetFirstUser", kAnybody, kUsePublic, kGate, kRead},
    {"/coder.api.v1.AuthService/CreateFirstUser", kAnybody, kUsePublic, kGate,
     Write(kCreate, "user", "", "username")},
    {"/coder.api.v1.AuthService/Login", kAnybody, kUsePublic, kGate, Write(kLogin, "user")},
    {"/coder.api.v1.AuthService/Logout", kUsers, kUseOwnAccount, kGate, Write(kLogout, "token"),
     kRights},
    {"/coder.api.v1.AuthService/WhoAmI", kUsers, kUseOwnAccount, kGate, kRead},
    {"/coder.api.v1.AuthService/CreateToken", kUsers, kUseOwnAccount, kGate,
     Write(kCreate, "token", "", "name")},
    {"/coder.api.v1.AuthService/ListTokens", kUsers, kUseOwnAccount, kGate, kRead},
    {"/coder.api.v1.AuthService/RevokeToken", kUsers, kRevokeToken, kObject,
     Write(kDelete, "token", "id"), kRights},
    {"/coder.api.v1.UserService/CreateUser", kUsers, kCreateUser, kGate,
     Write(kCreate, "user", "", "username")},
    {"/coder.api.v1.UserService/GetUser", kUsers, kReadUser, kObject, kRead},
    {"/coder.api.v1.UserService/ListUsers", kUsers, kReadUser, kObject, kRead},
    {"/coder.api.v1.UserService/UpdateUser", kUsers, kUpdateUser, kObject,
     Write(kWrite, "user", "user.id")},
    {"/coder.api.v1.UserService/SetUserRoles", kUsers, kSetUserRoles, kObject,
     Write(kWrite, "user", "user"), kRights},
    {"/coder.api.v1.UserService/SetUserStatus", kUsers, kSetUserStatus, kObject,
     Write(kWrite, "user", "user"), kRights},
    {"/coder.api.v1.UserService/ChangePassword", kUsers, kChangeOwnPassword, kObject,
     Write(kWrite, "user", "user"), kRights},
    {"/coder.api.v1.UserService/DeleteUser", kUsers, kDeleteUser, kObject,
     Write(kDelete, "user", "user"), kRights},
    {"/coder.api.v1.OrganizationService/CreateOrganization", kUsers, kCreateOrganization, kGate,
     Write(kCreate, "organization", "", "name")},
    {"/coder.api.v1.OrganizationService/GetOrganization", kUsers, kReadOrganization, kObject,
     kRead},
    {"/coder.api.v1.OrganizationService/ListOrganizations", kUsers, kReadOrganization, kObject,
     kRead},
    {"/coder.api.v1.OrganizationService/UpdateOrganization", kUsers, kUpdateOrganization, kObject,
     Write(kWrite, "organization", "organization.id")},
    {"/coder.api.v1.OrganizationService/DeleteOrganization", kUsers, kDeleteOrganization, kObject,
     Write(kDelete, "organization", "organization"), kRights},
    {"/coder.api.v1.OrganizationService/ListMembers", kUsers, kReadMembers, kObject, kRead},
    {"/coder.api.v1.OrganizationService/AddMember", kUsers, kWriteMembers, kObject,
     Write(kCreate, "member", "user"), kRights},
    {"/coder.api.v1.OrganizationService/SetMemberRoles", kUsers, kWriteMembers, kObject,
     Write(kWrite, "member", "user"), kRights},
    {"/coder.api.v1.OrganizationService/RemoveMember", kUsers, kWriteMembers, kObject,
     Write(kDelete, "member", "user"), kRights},
    {"/coder.api.v1.DeploymentService/GetDeploymentInfo", kAnybody, kUsePublic, kGate, kRead},
    {"/coder.api.v1.DeploymentService/ListExperiments", kUsers, kUseOwnAccount, kGate, kRead},
    {"/coder.api.v1.TemplateService/UploadFile", kUsers, kCreateTemplate, kObject,
     Write(kCreate, "file")},
    {"/coder.api.v1.TemplateService/DownloadTemplateVersion", kUsers, kUpdateTemplate, kObject,
     kRead},
    {"/coder.api.v1.TemplateService/CreateTemplateVersion", kUsers, kCreateTemplate, kObject,
     Write(kCreate, "template_version", "", "name")},
    {"/coder.api.v1.TemplateService/GetTemplateVersion", kUsers, kReadTemplate, kObject, kRead},
    {"/coder.api.v1.TemplateService/ListTemplateVersions", kUsers, kReadTemplate, kObject, kRead},
    {"/coder.api.v1.TemplateService/ListTemplateVersionParameters", kUsers, kReadTemplate, kObject,
     kRead},
    {"/coder.api.v1.TemplateService/ListTemplateVersionResources", kUsers, kReadTemplate, kObject,
     kRead},
    {"/coder.api.v1.TemplateService/CancelTemplateVersion", kUsers, kUpdateTemplate, kObject,
     Write(kWrite, "template_version", "id")},
    {"/coder.api.v1.TemplateService/ArchiveTemplateVersion", kUsers, kUpdateTemplate, kObject,
     Write(kWrite, "template_version", "id")},
    {"/coder.api.v1.TemplateService/CreateTemplate", kUsers, kCreateTemplate, kObject,
     Write(kCreate, "template", "", "name")},
    {"/coder.api.v1.TemplateService/GetTemplate", kUsers, kReadTemplate, kObject, kRead},
    {"/coder.api.v1.TemplateService/ListTemplates", kUsers, kReadTemplate, kObject, kRead},
    {"/coder.api.v1.TemplateService/UpdateTemplate", kUsers, kUpdateTemplate, kObject,
     Write(kWrite, "template", "template.id")},
    {"/coder.api.v1.TemplateService/PromoteTemplateVersion", kUsers, kUpdateTemplate, kObject,
     Write(kWrite, "template", "template_id")},
    {"/coder.api.v1.TemplateService/DeleteTemplate", kUsers, kDeleteTemplate, kObject,
     Write(kDelete, "template", "template_id")},
    {"/coder.api.v1.WorkspaceService/CreateWorkspace", kUsers, kCreateWorkspace, kObject,
     Write(kCreate, "workspace", "", "name")},
    {"/coder.api.v1.WorkspaceService/GetWorkspace", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.WorkspaceService/ListWorkspaces", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.WorkspaceService/UpdateWorkspace", kUsers, kUpdateWorkspace, kObject,
     Write(kWrite, "workspace", "workspace.id")},
    {"/coder.api.v1.WorkspaceService/ExtendWorkspace", kUsers, kUpdateWorkspace, kObject,
     Write(kWrite, "workspace", "workspace_id")},
    {"/coder.api.v1.WorkspaceService/SetWorkspaceDormant", kUsers, kUpdateWorkspace, kObject,
     Write(kWrite, "workspace", "workspace_id")},
    {"/coder.api.v1.WorkspaceService/ExplainSchedule", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.ScheduleService/PreviewSchedule", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.ScheduleService/SkipNextAutostart", kUsers, kUpdateWorkspace, kObject,
     Write(kWrite, "workspace", "workspace_id")},
    {"/coder.api.v1.ScheduleService/RecordActivity", kUsers, kUpdateWorkspace, kObject, kUpkeep},
    {"/coder.api.v1.ScheduleService/GetQuietHours", kUsers, kReadUser, kObject, kRead},
    {"/coder.api.v1.ScheduleService/SetQuietHours", kUsers, kUpdateUser, kObject,
     Write(kWrite, "user", "user")},
    {"/coder.api.v1.ScheduleService/CreateBlackout", kUsers, kUpdateOrganization, kObject,
     Write(kCreate, "blackout")},
    {"/coder.api.v1.ScheduleService/ListBlackouts", kUsers, kReadOrganization, kObject, kRead},
    {"/coder.api.v1.ScheduleService/DeleteBlackout", kUsers, kUpdateOrganization, kObject,
     Write(kDelete, "blackout", "id")},
    {"/coder.api.v1.BuildService/CreateWorkspaceBuild", kUsers, kBuildWorkspace, kObject,
     Write(kCreate, "workspace", "workspace_id")},
    {"/coder.api.v1.BuildService/GetWorkspaceBuild", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.BuildService/ListWorkspaceBuilds", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.BuildService/CancelWorkspaceBuild", kUsers, kBuildWorkspace, kObject,
     Write(kWrite, "workspace_build", "id")},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildParameters", kUsers, kReadWorkspace, kObject,
     kRead},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildResources", kUsers, kReadWorkspace, kObject,
     kRead},
    {"/coder.api.v1.BuildService/ResolveLateState", kUsers, kUpdateTemplate, kObject,
     Write(kWrite, "workspace_build", "build_id")},
    {"/coder.api.v1.BuildService/StreamJobLogs", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.ProvisionerAdminService/CreateProvisionerKey", kUsers, kWriteProvisionerKeys,
     kObject, Write(kCreate, "provisioner_key", "", "name")},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerKeys", kUsers, kReadProvisionerKeys,
     kObject, kRead},
    {"/coder.api.v1.ProvisionerAdminService/RevokeProvisionerKey", kUsers, kWriteProvisionerKeys,
     kObject, Write(kDelete, "provisioner_key", "id"), kRights},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerDaemons", kUsers, kReadProvisioners,
     kObject, kRead},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerJobs", kUsers, kReadProvisioners,
     kObject, kRead},
    {"/coder.api.v1.ProvisionerAdminService/GetProvisionerJob", kUsers, kReadProvisioners, kObject,
     kRead},
    {"/coder.api.v1.WatchService/WatchAllWorkspaceBuilds", kUsers, kReadWorkspace, kObject, kRead},
    {"/coder.api.v1.WatchService/GetBuildStreamStatus", kUsers, kReadBuildStreamStatus, kGate,
     kRead},
    {"/coder.api.v1.AuditService/ListAuditLogs", kUsers, kReadAuditLog, kObject, kRead},
    {"/coder.provisioner.v1.ProvisionerService/AcquireJobs", kProvisioners, kRunJobs, kObject,
     kUpkeep, kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/ReleaseJob", kProvisioners, kRunJobs, kObject,
     Write(kWrite, "provisioner_job", "lease.job_id"), kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/Heartbeat", kProvisioners, kRunJobs, kObject,
     kUpkeep, kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/AppendLogs", kProvisioners, kRunJobs, kObject,
     kUpkeep, kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/DownloadSource", kProvisioners, kRunJobs, kObject,
     kRead, kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/DownloadState", kProvisioners, kRunJobs, kObject,
     kRead, kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/UploadState", kProvisioners, kRunJobs, kObject,
     Write(kWrite, "provisioner_job"), kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/CompleteJob", kProvisioners, kRunJobs, kObject,
     Write(kWrite, "provisioner_job", "lease.job_id"), kNone, kProvisionerd},
    {"/coder.provisioner.v1.ProvisionerService/FailJob", kProvisioners, kRunJobs, kObject,
     Write(kWrite, "provisioner_job", "lease.job_id"), kNone, kProvisionerd},
    {"/coder.lifecycle.v1.LifecycleService/StreamLifecycleCandidates", kServices, kRunLifecycle,
     kGate, kRead, kNone, kScheduler},
    {"/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions", kServices, kRunLifecycle, kGate,
     Write(kWrite, "lifecycle"), kNone, kScheduler},
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
