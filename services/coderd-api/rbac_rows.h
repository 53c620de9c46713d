#pragma once

namespace coder::api {

/// What a row's calls are about.
enum class RbacKind {
  /// One object, named in the request: the letters may act; those of `seen` besides learn
  /// PERMISSION_DENIED, all others NOT_FOUND.
  kObject,
  /// A list: the letters find the object in it.
  kList,
  /// Nothing in particular: the letters of `own` may call, all others get PERMISSION_DENIED.
  kGate,
};

/// What one RPC is expected to answer to each role. A role is a letter: site O(wner),
/// T(emplate-admin), U(ser-admin), A(uditor), all in no organization; a(dmin), t(emplate-admin) and
/// m(ember) of "ours"; x, a user without any role; -, nobody; p, a provisioner key of "ours"; s,
/// the service token. The object is the caller's own thing in ours, a neighbour's in ours, or a
/// stranger's in "theirs". In the request $name stands for the object's id; `needle` names what a
/// list is searched for.
struct RbacRow {
  const char* method;
  RbacKind kind;
  const char* request;
  const char* own;
  const char* neighbours;
  const char* foreign;
  const char* seen_own = "";
  const char* seen_neighbours = "";
  const char* seen_foreign = "";
  const char* needle = "";
  /// Who is answered as if the absent object were there. Site roles see every organization, so
  /// where only the organization is named nothing is told by not looking it up.
  const char* absent = "";
  const char* seen_absent = "";
};

inline constexpr char kAllUsers[] = "OTUAatmx";
inline constexpr char kEverybody[] = "OTUAatmx-ps";

// Requests that may be allowed are ones that change nothing: they fail a later rule (an empty mask,
// an unknown role, a thing in use) or repeat what is so already.
inline constexpr RbacRow kRbacRows[] = {
    {"/coder.api.v1.AuthService/GetFirstUser", RbacKind::kGate, "", kEverybody, "", ""},
    {"/coder.api.v1.AuthService/CreateFirstUser", RbacKind::kGate, "", kEverybody, "", ""},
    {"/coder.api.v1.AuthService/WhoAmI", RbacKind::kGate, "", kAllUsers, "", ""},
    {"/coder.api.v1.AuthService/CreateToken", RbacKind::kGate, "", kAllUsers, "", ""},
    {"/coder.api.v1.AuthService/ListTokens", RbacKind::kList, "", kAllUsers, "", "", "", "", "",
     "token"},
    {"/coder.api.v1.AuthService/RevokeToken", RbacKind::kObject, "id: '$token'", kAllUsers, "OU",
     "OU"},

    {"/coder.api.v1.DeploymentService/GetDeploymentInfo", RbacKind::kGate, "", kEverybody, "", ""},
    {"/coder.api.v1.DeploymentService/ListExperiments", RbacKind::kGate, "", kAllUsers, "", ""},

    {"/coder.api.v1.UserService/CreateUser", RbacKind::kGate, "", "OU", "", ""},
    {"/coder.api.v1.UserService/GetUser", RbacKind::kObject, "user: '$user'", kAllUsers, "OTUA",
     "OTUA"},
    {"/coder.api.v1.UserService/ListUsers", RbacKind::kList, "page_size: 500", kAllUsers, "OTUA",
     "OTUA", "", "", "", "user"},
    {"/coder.api.v1.UserService/UpdateUser", RbacKind::kObject, "user { id: '$user' }", kAllUsers,
     "OU", "OU", "", "TA", "TA"},
    {"/coder.api.v1.UserService/SetUserRoles", RbacKind::kObject, "user: '$user' roles: 'none'",
     "OU", "OU", "OU", "TAatmx", "TA", "TA"},
    {"/coder.api.v1.UserService/SetUserStatus", RbacKind::kObject, "user: '$user'", "OU", "OU",
     "OU", "TAatmx", "TA", "TA"},
    {"/coder.api.v1.UserService/ChangePassword", RbacKind::kObject,
     "user: '$user' new_password: 'x'", kAllUsers, "OU", "OU", "", "TA", "TA"},
    {"/coder.api.v1.UserService/DeleteUser", RbacKind::kObject, "user: '$user'", "OU", "OU", "OU",
     "TAatmx", "TA", "TA"},

    {"/coder.api.v1.OrganizationService/CreateOrganization", RbacKind::kGate, "", "O", "", ""},
    {"/coder.api.v1.OrganizationService/GetOrganization", RbacKind::kObject, "organization: '$org'",
     "OTUAatm", "OTUAatm", "OTUA"},
    {"/coder.api.v1.OrganizationService/ListOrganizations", RbacKind::kList, "page_size: 500",
     "OTUAatm", "OTUAatm", "OTUA", "", "", "", "org"},
    {"/coder.api.v1.OrganizationService/UpdateOrganization", RbacKind::kObject,
     "organization { id: '$org' }", "Oa", "Oa", "O", "TUAtm", "TUAtm", "TUA"},
    {"/coder.api.v1.OrganizationService/DeleteOrganization", RbacKind::kObject,
     "organization: '$org'", "O", "O", "O", "TUAatm", "TUAatm", "TUA"},
    {"/coder.api.v1.OrganizationService/ListMembers", RbacKind::kObject, "organization: '$org'",
     "OTUAatm", "OTUAatm", "OTUA"},
    {"/coder.api.v1.OrganizationService/AddMember", RbacKind::kObject,
     "organization: '$org' user: '$user' roles: 'none'", "OUa", "OUa", "OU", "TAtm", "TAtm", "TA"},
    {"/coder.api.v1.OrganizationService/SetMemberRoles", RbacKind::kObject,
     "organization: '$org' user: '$user' roles: 'none'", "OUa", "OUa", "OU", "TAtm", "TAtm", "TA"},
    {"/coder.api.v1.OrganizationService/RemoveMember", RbacKind::kObject,
     "organization: '$org' user: '$user'", "OUa", "OUa", "OU", "TAtm", "TAtm", "TA"},

    {"/coder.api.v1.ProvisionerAdminService/CreateProvisionerKey", RbacKind::kObject,
     "organization_id: '$org'", "Oa", "Oa", "O", "TUAtm", "TUAtm", "TUA"},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerKeys", RbacKind::kObject,
     "organization_id: '$org'", "OAa", "OAa", "OA", "TUtm", "TUtm", "TU"},
    {"/coder.api.v1.ProvisionerAdminService/RevokeProvisionerKey", RbacKind::kObject, "id: '$key'",
     "Oa", "Oa", "O", "TUAtm", "TUAtm", "TUA"},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerDaemons", RbacKind::kObject,
     "organization_id: '$org'", "OTAat", "OTAat", "OTA", "Um", "Um", "U"},
    {"/coder.api.v1.ProvisionerAdminService/ListProvisionerJobs", RbacKind::kObject,
     "organization_id: '$org'", "OTAat", "OTAat", "OTA", "Um", "Um", "U"},
    {"/coder.api.v1.ProvisionerAdminService/GetProvisionerJob", RbacKind::kObject, "id: '$job'",
     "OTAat", "OTAat", "OTA", "Um", "Um", "U"},

    {"/coder.api.v1.AuditService/ListAuditLogs", RbacKind::kObject, "organization: '$org'", "OAa",
     "OAa", "OA", "TUtm", "TUtm", "TU"},

    {"/coder.api.v1.TemplateService/UploadFile", RbacKind::kObject,
     "info { organization_id: '$org' media_type: 'application/x-tar' }", "OTat", "OTat", "OT",
     "UAm", "UAm", "UA", "", "OT", "UA"},
    {"/coder.api.v1.TemplateService/DownloadTemplateVersion", RbacKind::kObject,
     "template_version_id: '$version'", "OTat", "OTat", "OT", "Am", "Am", "A"},
    {"/coder.api.v1.TemplateService/CreateTemplateVersion", RbacKind::kObject,
     "organization_id: '$org' file_id: '$file' provisioner: 'echo' request_id: 'none'", "OTat",
     "OTat", "OT", "UAm", "UAm", "UA", "", "OT", "UA"},
    {"/coder.api.v1.TemplateService/GetTemplateVersion", RbacKind::kObject, "id: '$version'",
     "OTAatm", "OTAatm", "OTA"},
    {"/coder.api.v1.TemplateService/ListTemplateVersions", RbacKind::kObject,
     "template_id: '$template'", "OTAatm", "OTAatm", "OTA"},
    {"/coder.api.v1.TemplateService/ListTemplateVersionParameters", RbacKind::kObject,
     "template_version_id: '$version'", "OTAatm", "OTAatm", "OTA"},
    {"/coder.api.v1.TemplateService/ListTemplateVersionResources", RbacKind::kObject,
     "template_version_id: '$version'", "OTAatm", "OTAatm", "OTA"},
    {"/coder.api.v1.TemplateService/CancelTemplateVersion", RbacKind::kObject, "id: '$version'",
     "OTat", "OTat", "OT", "Am", "Am", "A"},
    {"/coder.api.v1.TemplateService/ArchiveTemplateVersion", RbacKind::kObject, "id: '$version'",
     "OTat", "OTat", "OT", "Am", "Am", "A"},
    {"/coder.api.v1.TemplateService/CreateTemplate", RbacKind::kObject,
     "organization_id: '$org' name: 'rbac' template_version_id: '$version'", "OTat", "OTat", "OT",
     "UAm", "UAm", "UA", "", "", "UA"},
    {"/coder.api.v1.TemplateService/GetTemplate", RbacKind::kObject, "template: '$template'",
     "OTAatm", "OTAatm", "OTA"},
    {"/coder.api.v1.TemplateService/ListTemplates", RbacKind::kList, "page_size: 500", "OTAatm",
     "OTAatm", "OTA", "", "", "", "template"},
    {"/coder.api.v1.TemplateService/UpdateTemplate", RbacKind::kObject,
     "template { id: '$template' }", "OTat", "OTat", "OT", "Am", "Am", "A"},
    {"/coder.api.v1.TemplateService/PromoteTemplateVersion", RbacKind::kObject,
     "template_id: '$template' template_version_id: '$version'", "OTat", "OTat", "OT", "Am", "Am",
     "A"},
    {"/coder.api.v1.TemplateService/DeleteTemplate", RbacKind::kObject, "template_id: '$template'",
     "OTat", "OTat", "OT", "Am", "Am", "A"},

    {"/coder.api.v1.WorkspaceService/CreateWorkspace", RbacKind::kObject,
     "owner: '$user' name: 'rbac' template_id: '$template'", "Oatm", "Oa", "O", "TA", "TA", "TA"},
    {"/coder.api.v1.WorkspaceService/GetWorkspace", RbacKind::kObject, "workspace: '$workspace'",
     "OTAatm", "OTAat", "OTA"},
    {"/coder.api.v1.WorkspaceService/ListWorkspaces", RbacKind::kList, "page_size: 500", "OTAatm",
     "OTAat", "OTA", "", "", "", "workspace"},
    {"/coder.api.v1.WorkspaceService/UpdateWorkspace", RbacKind::kObject,
     "workspace { id: '$workspace' }", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.WorkspaceService/ExtendWorkspace", RbacKind::kObject,
     "workspace_id: '$workspace'", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.WorkspaceService/SetWorkspaceDormant", RbacKind::kObject,
     "workspace_id: '$workspace'", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.WorkspaceService/ExplainSchedule", RbacKind::kObject,
     "workspace_id: '$workspace'", "OTAatm", "OTAat", "OTA"},

    {"/coder.api.v1.ScheduleService/PreviewSchedule", RbacKind::kObject,
     "workspace_id: '$workspace'", "OTAatm", "OTAat", "OTA"},
    {"/coder.api.v1.ScheduleService/SkipNextAutostart", RbacKind::kObject,
     "workspace_id: '$workspace'", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.ScheduleService/RecordActivity", RbacKind::kObject,
     "workspace_id: '$workspace'", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.ScheduleService/GetQuietHours", RbacKind::kObject, "user: '$user'", kAllUsers,
     "OTUA", "OTUA"},
    {"/coder.api.v1.ScheduleService/SetQuietHours", RbacKind::kObject,
     "user: '$user' schedule: 'never'", kAllUsers, "OU", "OU", "", "TA", "TA"},
    {"/coder.api.v1.ScheduleService/CreateBlackout", RbacKind::kObject, "organization_id: '$org'",
     "Oa", "Oa", "O", "TUAtm", "TUAtm", "TUA"},
    {"/coder.api.v1.ScheduleService/ListBlackouts", RbacKind::kObject, "organization_id: '$org'",
     "OTUAatm", "OTUAatm", "OTUA"},
    {"/coder.api.v1.ScheduleService/DeleteBlackout", RbacKind::kObject, "id: '$blackout'", "Oa",
     "Oa", "O", "TUAtm", "TUAtm", "TUA"},

    {"/coder.api.v1.BuildService/CreateWorkspaceBuild", RbacKind::kObject,
     "workspace_id: '$workspace' transition: BUILD_TRANSITION_STOP", "Oatm", "Oa", "O", "TA", "TAt",
     "TA"},
    {"/coder.api.v1.BuildService/GetWorkspaceBuild", RbacKind::kObject, "id: '$build'", "OTAatm",
     "OTAat", "OTA"},
    {"/coder.api.v1.BuildService/ListWorkspaceBuilds", RbacKind::kObject,
     "workspace_id: '$workspace'", "OTAatm", "OTAat", "OTA"},
    {"/coder.api.v1.BuildService/CancelWorkspaceBuild", RbacKind::kObject,
     "id: '$build' expect_status: JOB_STATUS_RUNNING", "Oatm", "Oa", "O", "TA", "TAt", "TA"},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildParameters", RbacKind::kObject,
     "build_id: '$build'", "OTAatm", "OTAat", "OTA"},
    {"/coder.api.v1.BuildService/ListWorkspaceBuildResources", RbacKind::kObject,
     "build_id: '$build'", "OTAatm", "OTAat", "OTA"},
    {"/coder.api.v1.BuildService/ResolveLateState", RbacKind::kObject, "build_id: '$build'", "OTat",
     "OTat", "OT", "Am", "A", "A"},
    {"/coder.api.v1.BuildService/StreamJobLogs", RbacKind::kObject, "job_id: '$job'", "OTAatm",
     "OTAat", "OTA"},

    // What each sees of the stream is decided event by event; watch_service_pgtest proves that.
    {"/coder.api.v1.WatchService/WatchAllWorkspaceBuilds", RbacKind::kGate, "resume_token: 'none'",
     kAllUsers, "", ""},
    {"/coder.api.v1.WatchService/GetBuildStreamStatus", RbacKind::kGate, "", kAllUsers, "", ""},

    // Whoever may call these is told apart by leases, which have tests of their own.
    {"/coder.provisioner.v1.ProvisionerService/AcquireJobs", RbacKind::kGate,
     "hello { name: 'd' provisioners: 'echo' slots: 1 }", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/ReleaseJob", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/Heartbeat", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/AppendLogs", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/DownloadSource", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/DownloadState", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/UploadState", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/CompleteJob", RbacKind::kGate, "", "p", "", ""},
    {"/coder.provisioner.v1.ProvisionerService/FailJob", RbacKind::kGate, "", "p", "", ""},

    {"/coder.lifecycle.v1.LifecycleService/StreamLifecycleCandidates", RbacKind::kGate, "", "s", "",
     ""},
    {"/coder.lifecycle.v1.LifecycleService/ApplyLifecycleActions", RbacKind::kGate, "", "s", "",
     ""},
};

}  // namespace coder::api
