#include "cli/coderctl/support_bundle.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/coderctl/admin_page.h"
#include "cli/coderctl/job_log.h"
#include "cli/coderctl/output.h"
#include "cli/coderctl/scrub.h"
#include "coder/api/v1/auth.grpc.pb.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/deployment.grpc.pb.h"
#include "coder/api/v1/organization.grpc.pb.h"
#include "coder/api/v1/provisioner.grpc.pb.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "libs/server/version.h"

namespace coder::cli {
namespace {

using api::v1::BuildService;
using api::v1::DeploymentService;
using api::v1::OrganizationService;
using api::v1::ProvisionerAdminService;
using api::v1::WatchService;
using api::v1::WorkspaceService;
using grpc::health::v1::Health;
using Json = nlohmann::ordered_json;

constexpr int kPage = 500;
constexpr const char* kHealthNames[] = {"", "coderd-api", "coder.api.v1.WatchService"};
constexpr const char* kAdminPages[] = {"/version", "/readyz", "/metrics", "/debug"};

// As part of a file name: nothing that leads elsewhere.
std::string FileWord(const std::string& text) {
  std::string word;
  for (char c : text) {
    word.push_back(absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ? c : '_');
  }
  return word.empty() ? "_" : word;
}

std::string WhyText(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", std::string(status.message()));
}

}  // namespace

std::string BundleContents(const BundlePlan& plan) {
  std::string text = absl::StrCat(
      "the bundle will hold:\n"
      "  the deployment's version, experiments and health\n"
      "  organizations by name, their provisioner daemons and unfinished jobs\n"
      "  the state of the event stream\n"
      "  up to ",
      plan.failed_jobs, " failed jobs of each organization, with the last ", plan.log_lines,
      " lines of their logs and\n"
      "  the names of the workspaces, templates and people of those builds\n");
  for (const std::string& base : plan.admin) {
    absl::StrAppend(&text, "  metrics, readiness and debug pages of ", base, "\n");
  }
  absl::StrAppend(&text,
                  "it will hold no parameter or variable values and no engine states; secrets that "
                  "can be told are\n"
                  "taken out, but logs hold what templates print: look through them before you "
                  "pass it on\n");
  return text;
}

SupportBundle::SupportBundle(const Session& session, BundlePlan plan, absl::Time now)
    : session_(session), plan_(std::move(plan)) {
  // The manifest's place.
  files_.push_back({"manifest.json", ""});
  AddDeployment();
  AddHealth();
  AddOrganizations();
  for (const std::string& base : plan_.admin) AddAdmin(base);
  AddManifest(now);
}

void SupportBundle::Add(const std::string& name, const std::string& content) {
  files_.push_back({name, Scrubbed(content, {session_.credentials().token})});
}

void SupportBundle::AddMessage(const std::string& name, const google::protobuf::Message& message) {
  Add(name, ToJson(message, /*compact=*/false));
}

void SupportBundle::Miss(const std::string& name, const absl::Status& status) {
  missing_.emplace_back(name, Scrubbed(WhyText(status), {session_.credentials().token}));
}

void SupportBundle::AddDeployment() {
  const auto keep = [this](const std::string& name, const auto& response) {
    response.ok() ? AddMessage(name, *response) : Miss(name, response.status());
  };
  keep("deployment.json",
       Call<DeploymentService>(session_, &DeploymentService::Stub::GetDeploymentInfo,
                               api::v1::GetDeploymentInfoRequest()));
  keep("experiments.json",
       Call<DeploymentService>(session_, &DeploymentService::Stub::ListExperiments,
                               api::v1::ListExperimentsRequest()));
  keep("stream.json", Call<WatchService>(session_, &WatchService::Stub::GetBuildStreamStatus,
                                         api::v1::GetBuildStreamStatusRequest()));
}

void SupportBundle::AddHealth() {
  Json health = Json::object();
  for (const char* name : kHealthNames) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(name);
    const auto answer = Call<Health>(session_, &Health::Stub::Check, request);
    if (answer.ok()) {
      health[name] = grpc::health::v1::HealthCheckResponse::ServingStatus_Name(answer->status());
    } else {
      Miss(absl::StrCat("health.json \"", name, "\""), answer.status());
    }
  }
  Add("health.json", health.dump(2) + "\n");
}

void SupportBundle::AddOrganizations() {
  api::v1::ListOrganizationsRequest request;
  request.set_page_size(kPage);
  const auto organizations =
      Call<OrganizationService>(session_, &OrganizationService::Stub::ListOrganizations, request);
  if (!organizations.ok()) return Miss("organizations.json", organizations.status());
  AddMessage("organizations.json", *organizations);
  for (const auto& organization : organizations->organizations()) {
    AddOrganization(organization.id(), organization.name());
  }
}

void SupportBundle::AddOrganization(const std::string& id, const std::string& name) {
  const std::string folder = absl::StrCat("organizations/", FileWord(name), "/");
  api::v1::ListProvisionerDaemonsRequest daemons;
  daemons.set_organization_id(id);
  const auto listed = Call<ProvisionerAdminService>(
      session_, &ProvisionerAdminService::Stub::ListProvisionerDaemons, daemons);
  listed.ok() ? AddMessage(folder + "provisioners.json", *listed)
              : Miss(folder + "provisioners.json", listed.status());
  api::v1::ListProvisionerJobsRequest jobs;
  jobs.set_organization_id(id);
  jobs.set_page_size(kPage);
  for (const auto status : {events::v1::JOB_STATUS_PENDING, events::v1::JOB_STATUS_RUNNING,
                            events::v1::JOB_STATUS_CANCELING}) {
    jobs.add_statuses(status);
  }
  const auto list = [&] {
    return Call<ProvisionerAdminService>(session_,
                                         &ProvisionerAdminService::Stub::ListProvisionerJobs, jobs);
  };
  const auto queue = list();
  queue.ok() ? AddMessage(folder + "queue.json", *queue)
             : Miss(folder + "queue.json", queue.status());
  jobs.clear_statuses();
  jobs.add_statuses(events::v1::JOB_STATUS_FAILED);
  jobs.set_page_size(plan_.failed_jobs);
  if (plan_.failed_jobs == 0) return;
  const auto failed = list();
  if (!failed.ok()) {
    Miss(folder + "failed jobs", failed.status());
    return AddOwnFailures();
  }
  for (const auto& job : failed->jobs()) AddFailure(job.id(), job.build_id());
}

// What anybody may see.
void SupportBundle::AddOwnFailures() {
  api::v1::ListWorkspacesRequest request;
  request.add_statuses(api::v1::WORKSPACE_STATUS_FAILED);
  request.set_page_size(plan_.failed_jobs);
  const auto failed =
      Call<WorkspaceService>(session_, &WorkspaceService::Stub::ListWorkspaces, request);
  if (!failed.ok()) return Miss("failed builds", failed.status());
  for (const auto& workspace : failed->workspaces()) {
    AddFailure(workspace.latest_build().job().id(), workspace.latest_build().id());
  }
}

void SupportBundle::AddFailure(const std::string& job_id, const std::string& build_id) {
  const std::string name = absl::StrCat("failed/", FileWord(job_id));
  const bool known = std::any_of(files_.begin(), files_.end(), [&](const auto& file) {
    return file.name == name + ".log" || file.name == name + ".json";
  });
  if (known) return;
  if (build_id.empty()) {
    api::v1::GetProvisionerJobRequest request;
    request.set_id(job_id);
    const auto job = Call<ProvisionerAdminService>(
        session_, &ProvisionerAdminService::Stub::GetProvisionerJob, request);
    job.ok() ? AddMessage(name + ".json", *job) : Miss(name + ".json", job.status());
  } else {
    api::v1::GetWorkspaceBuildRequest request;
    request.set_id(build_id);
    const auto build =
        Call<BuildService>(session_, &BuildService::Stub::GetWorkspaceBuild, request);
    build.ok() ? AddMessage(name + ".json", *build) : Miss(name + ".json", build.status());
  }
  const auto log = JobLogTail(session_, job_id, plan_.log_lines);
  log.ok() ? Add(name + ".log", *log) : Miss(name + ".log", log.status());
}

std::string SupportBundle::AddAdminPage(const std::string& base, const std::string& folder,
                                        const std::string& path) {
  const std::string name = folder + FileWord(path.substr(1)) + ".txt";
  const auto page = FetchAdminPage(base, path, plan_.page_timeout);
  // Readiness says more when it fails.
  const bool is_useful = page.ok() && (page->status == 200 || page->status == 503);
  if (is_useful) {
    Add(name, page->body);
    return page->body;
  }
  Miss(name,
       page.ok() ? absl::UnknownError(absl::StrCat("HTTP status ", page->status)) : page.status());
  return "";
}

void SupportBundle::AddAdmin(const std::string& base) {
  const std::string folder = absl::StrCat("admin/", FileWord(base), "/");
  std::string index;
  for (const char* path : kAdminPages) {
    index = AddAdminPage(base, folder, path);
    // Nobody there: the other pages are not there either.
    if (index.empty() && path == kAdminPages[0]) return;
  }
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(index, '\n'))) {
    const std::string path = line.substr(0, line.find(' '));
    if (path.starts_with("/debug/")) AddAdminPage(base, folder, path);
  }
}

void SupportBundle::AddManifest(absl::Time now) {
  Json manifest = {{"made_at", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", now, absl::UTCTimeZone())},
                   {"made_by", absl::StrCat("coderctl ", server::VersionText())},
                   {"deployment", session_.credentials().url},
                   {"files", Json::array()},
                   {"not_read", Json::array()}};
  for (const archive::MemoryFile& file : files_) {
    if (file.name != files_.front().name) {
      manifest["files"].push_back({{"name", file.name}, {"bytes", file.content.size()}});
    }
  }
  for (const auto& [name, why] : missing_) {
    manifest["not_read"].push_back({{"name", name}, {"why", why}});
  }
  files_.front().content =
      Scrubbed(manifest.dump(2, ' ', false, Json::error_handler_t::replace) + "\n",
               {session_.credentials().token});
}

}  // namespace coder::cli
