#include "cli/coderctl/deployment_sample.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/output.h"
#include "coder/api/v1/deployment.grpc.pb.h"
#include "coder/api/v1/organization.grpc.pb.h"
#include "coder/api/v1/provisioner.grpc.pb.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::DeploymentService;
using api::v1::OrganizationService;
using api::v1::ProvisionerAdminService;
using api::v1::WatchService;
using api::v1::WorkspaceService;
using Json = nlohmann::ordered_json;

constexpr int kPage = 500;

// Errors that leave nothing to look at.
bool EndsSample(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsUnauthenticated(status) ||
         absl::IsDeadlineExceeded(status);
}

absl::Status Note(DeploymentSample& sample, const std::string& part, const absl::Status& status) {
  if (status.ok()) return status;
  if (EndsSample(status)) return status;
  sample.missing.emplace(part, status);
  return absl::OkStatus();
}

void NotAll(DeploymentSample& sample, const std::string& part, const std::string& next_page) {
  if (next_page.empty()) return;
  sample.missing.emplace(part,
                         absl::ResourceExhaustedError(absl::StrCat("there are more than ", kPage)));
}

absl::Status TakeBuilds(const Session& session, DeploymentSample& sample) {
  api::v1::ListWorkspacesRequest request;
  request.set_page_size(kPage);
  for (const auto status : {api::v1::WORKSPACE_STATUS_PENDING, api::v1::WORKSPACE_STATUS_STARTING,
                            api::v1::WORKSPACE_STATUS_STOPPING, api::v1::WORKSPACE_STATUS_CANCELING,
                            api::v1::WORKSPACE_STATUS_DELETING}) {
    request.add_statuses(status);
  }
  const auto response =
      Call<WorkspaceService>(session, &WorkspaceService::Stub::ListWorkspaces, request);
  if (!response.ok()) return Note(sample, "builds", response.status());
  NotAll(sample, "builds", response->next_page_token());
  sample.building.assign(response->workspaces().begin(), response->workspaces().end());
  std::stable_sort(sample.building.begin(), sample.building.end(),
                   [](const auto& a, const auto& b) {
                     return events::FromProto(a.latest_build().create_time()) <
                            events::FromProto(b.latest_build().create_time());
                   });
  return absl::OkStatus();
}

absl::Status TakeProvisioners(const Session& session, const std::string& organization,
                              DeploymentSample& sample) {
  api::v1::ListProvisionerDaemonsRequest daemons;
  daemons.set_organization_id(organization);
  const auto listed = Call<ProvisionerAdminService>(
      session, &ProvisionerAdminService::Stub::ListProvisionerDaemons, daemons);
  RETURN_IF_ERROR(Note(sample, "provisioners", listed.status()));
  if (listed.ok()) {
    sample.daemons.insert(sample.daemons.end(), listed->daemons().begin(), listed->daemons().end());
  }
  api::v1::ListProvisionerJobsRequest jobs;
  jobs.set_organization_id(organization);
  jobs.set_page_size(kPage);
  for (const auto status : {events::v1::JOB_STATUS_PENDING, events::v1::JOB_STATUS_RUNNING,
                            events::v1::JOB_STATUS_CANCELING}) {
    jobs.add_statuses(status);
  }
  const auto queue = Call<ProvisionerAdminService>(
      session, &ProvisionerAdminService::Stub::ListProvisionerJobs, jobs);
  RETURN_IF_ERROR(Note(sample, "queue", queue.status()));
  if (!queue.ok()) return absl::OkStatus();
  NotAll(sample, "queue", queue->next_page_token());
  sample.jobs.insert(sample.jobs.end(), queue->jobs().begin(), queue->jobs().end());
  return absl::OkStatus();
}

std::string MissingText(const absl::Status& status) {
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ",
                      Printable(std::string(status.message())));
}

struct DaemonCounts {
  int busy = 0, idle = 0, stale = 0;
  int slots = 0, running_jobs = 0;
};

DaemonCounts CountDaemons(const DeploymentSample& sample) {
  DaemonCounts counts;
  for (const auto& daemon : sample.daemons) {
    const bool busy = daemon.status() == api::v1::PROVISIONER_DAEMON_STATUS_BUSY;
    const bool idle = daemon.status() == api::v1::PROVISIONER_DAEMON_STATUS_IDLE;
    counts.busy += busy;
    counts.idle += idle;
    if (!busy && !idle) {
      ++counts.stale;
      continue;
    }
    counts.slots += daemon.slots();
    counts.running_jobs += daemon.running_jobs();
  }
  return counts;
}

struct BuildCounts {
  int pending = 0, running = 0;
  absl::Duration oldest_pending;
};

BuildCounts CountBuilds(const DeploymentSample& sample) {
  BuildCounts counts;
  for (const auto& workspace : sample.building) {
    if (workspace.latest_build().job().status() != events::v1::JOB_STATUS_PENDING) {
      ++counts.running;
      continue;
    }
    ++counts.pending;
    counts.oldest_pending =
        std::max(counts.oldest_pending,
                 sample.time - events::FromProto(workspace.latest_build().create_time()));
  }
  return counts;
}

// Jobs by engine, kind and status.
std::map<std::vector<std::string>, int> CountQueue(const DeploymentSample& sample) {
  std::map<std::vector<std::string>, int> counts;
  for (const auto& job : sample.jobs) {
    const char* type = job.type() == api::v1::JOB_TYPE_WORKSPACE_BUILD ? "build" : "import";
    ++counts[{job.provisioner(), type, JobStatusName(job.status())}];
  }
  return counts;
}

Json BuildToJson(const api::v1::Workspace& workspace, absl::Time now) {
  const auto& build = workspace.latest_build();
  return {{"workspace", workspace.owner_name() + "/" + workspace.name()},
          {"build_id", build.id()},
          {"build_number", build.build_number()},
          {"transition", TransitionName(build.transition())},
          {"reason", ReasonName(build.reason())},
          {"status", JobStatusName(build.job().status())},
          {"age_seconds", absl::ToInt64Seconds(now - events::FromProto(build.create_time()))},
          {"worker", build.job().worker_name()},
          {"matching_provisioners", build.job().matching_provisioners()}};
}

Json StreamToJson(const api::v1::GetBuildStreamStatusResponse& stream) {
  return {{"epoch", stream.epoch()},
          {"floor", stream.floor()},
          {"head", stream.head()},
          {"ring_head", stream.ring_head()},
          {"ring_behind", std::max<int64_t>(0, stream.head() - stream.ring_head())},
          {"confirmed", stream.confirmed_position()},
          {"confirmed_behind", std::max<int64_t>(0, stream.head() - stream.confirmed_position())},
          {"source", stream.source() == api::v1::BUILD_STREAM_SOURCE_STREAM ? "stream" : "log"},
          {"watches", stream.watches()},
          {"max_watches", stream.max_watches()}};
}

std::string StreamText(const DeploymentSample& sample) {
  if (!sample.stream) return "";
  const Json stream = StreamToJson(*sample.stream);
  return absl::StrCat("head ", sample.stream->head(), ", this replica ",
                      stream["ring_behind"].get<int64_t>(), " behind, the stream ",
                      stream["confirmed_behind"].get<int64_t>(), " behind, from the ",
                      stream["source"].get<std::string>(), ", ", sample.stream->watches(), " of ",
                      sample.stream->max_watches(), " watches");
}

std::string QueueText(const DeploymentSample& sample) {
  std::vector<std::string> parts;
  for (const auto& [kind, count] : CountQueue(sample)) {
    parts.push_back(absl::StrCat(count, " ", kind[0], " ", kind[1], " ", kind[2]));
  }
  return parts.empty() ? "empty" : absl::StrJoin(parts, ", ");
}

std::string EventsText(const SeenEvents& events) {
  if (!events.status.ok()) return MissingText(events.status);
  std::string text = absl::StrCat(events.count, " since this view began");
  if (events.newest.empty()) return text;
  const auto& event = events.newest.back().event();
  absl::StrAppend(&text, ", the last: ", Printable(event.owner_name()), "/",
                  Printable(event.workspace_name()), " ", TransitionName(event.transition()), " ",
                  JobStatusName(event.job_status()));
  return text;
}

std::string Line(const DeploymentSample& sample, const std::string& part, const char* title,
                 const std::string& text) {
  const auto missing = sample.missing.find(part);
  std::string line = absl::StrCat(title, text);
  if (missing != sample.missing.end()) {
    line = absl::IsResourceExhausted(missing->second)
               ? absl::StrCat(line, " (not all: ", std::string(missing->second.message()), ")")
               : absl::StrCat(title, "not shown: ", MissingText(missing->second));
  }
  return line + "\n";
}

}  // namespace

absl::StatusOr<DeploymentSample> TakeSample(const Session& session, absl::Time now) {
  DeploymentSample sample{.time = now};
  ASSIGN_OR_RETURN(const auto info,
                   Call<DeploymentService>(session, &DeploymentService::Stub::GetDeploymentInfo,
                                           api::v1::GetDeploymentInfoRequest()));
  sample.version = info.version();
  RETURN_IF_ERROR(TakeBuilds(session, sample));
  api::v1::ListOrganizationsRequest request;
  request.set_page_size(kPage);
  const auto organizations =
      Call<OrganizationService>(session, &OrganizationService::Stub::ListOrganizations, request);
  RETURN_IF_ERROR(Note(sample, "provisioners", organizations.status()));
  RETURN_IF_ERROR(Note(sample, "queue", organizations.status()));
  if (organizations.ok()) {
    for (const auto& organization : organizations->organizations()) {
      RETURN_IF_ERROR(TakeProvisioners(session, organization.id(), sample));
    }
  }
  const auto stream = Call<WatchService>(session, &WatchService::Stub::GetBuildStreamStatus,
                                         api::v1::GetBuildStreamStatusRequest());
  RETURN_IF_ERROR(Note(sample, "stream", stream.status()));
  if (stream.ok()) sample.stream = *stream;
  return sample;
}

Json SampleToJson(const DeploymentSample& sample, const SeenEvents* events) {
  const BuildCounts builds = CountBuilds(sample);
  const DaemonCounts daemons = CountDaemons(sample);
  Json json = {{"time", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", sample.time, absl::UTCTimeZone())},
               {"version", sample.version}};
  json["builds"] = {{"running", builds.running},
                    {"pending", builds.pending},
                    {"oldest_pending_seconds", absl::ToInt64Seconds(builds.oldest_pending)},
                    {"list", Json::array()}};
  for (const auto& workspace : sample.building) {
    json["builds"]["list"].push_back(BuildToJson(workspace, sample.time));
  }
  json["queue"] = Json::array();
  for (const auto& [kind, count] : CountQueue(sample)) {
    json["queue"].push_back(
        {{"provisioner", kind[0]}, {"type", kind[1]}, {"status", kind[2]}, {"jobs", count}});
  }
  json["provisioners"] = {{"busy", daemons.busy},
                          {"idle", daemons.idle},
                          {"stale", daemons.stale},
                          {"slots", daemons.slots},
                          {"running_jobs", daemons.running_jobs}};
  if (sample.stream) json["stream"] = StreamToJson(*sample.stream);
  if (events != nullptr && events->status.ok()) json["events_seen"] = events->count;
  json["missing"] = Json::object();
  for (const auto& [part, status] : sample.missing) json["missing"][part] = MissingText(status);
  if (events != nullptr && !events->status.ok()) {
    json["missing"]["events"] = MissingText(events->status);
  }
  return json;
}

std::string SampleToText(const DeploymentSample& sample, const SeenEvents* events, size_t rows) {
  const BuildCounts builds = CountBuilds(sample);
  const DaemonCounts daemons = CountDaemons(sample);
  std::string text = absl::StrCat(
      "coder ", Printable(sample.version), ", ",
      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", sample.time, absl::UTCTimeZone()), "\n\n");
  std::string pending = absl::StrCat(builds.running, " running, ", builds.pending, " pending");
  if (builds.pending > 0) {
    absl::StrAppend(&pending, ", the oldest for ",
                    absl::FormatDuration(absl::Trunc(builds.oldest_pending, absl::Seconds(1))));
  }
  absl::StrAppend(
      &text, Line(sample, "builds", "builds        ", pending),
      Line(sample, "queue", "queue         ", QueueText(sample)),
      Line(sample, "provisioners", "provisioners  ",
           absl::StrCat(daemons.busy, " busy, ", daemons.idle, " idle, ", daemons.stale, " stale; ",
                        daemons.running_jobs, " of ", daemons.slots, " slots in use")),
      Line(sample, "stream", "stream        ", StreamText(sample)));
  if (events != nullptr) absl::StrAppend(&text, "events        ", EventsText(*events), "\n");
  if (sample.building.empty()) return text;
  Table table({"WORKSPACE", "BUILD", "DOES", "STATUS", "FOR", "WORKER"});
  for (size_t i = 0; i < std::min(rows, sample.building.size()); ++i) {
    const auto& workspace = sample.building[i];
    const auto& build = workspace.latest_build();
    const bool nobody = build.job().status() == events::v1::JOB_STATUS_PENDING &&
                        build.job().matching_provisioners() == 0;
    table.AddRow({workspace.owner_name() + "/" + workspace.name(),
                  absl::StrCat(build.build_number()), TransitionName(build.transition()),
                  JobStatusName(build.job().status()),
                  absl::FormatDuration(absl::Trunc(
                      sample.time - events::FromProto(build.create_time()), absl::Seconds(1))),
                  nobody                              ? "no daemon fits"
                  : build.job().worker_name().empty() ? "-"
                                                      : build.job().worker_name()});
  }
  absl::StrAppend(&text, "\n", table.ToString());
  if (sample.building.size() > rows) {
    absl::StrAppend(&text, "and ", sample.building.size() - rows, " more; see --rows\n");
  }
  return text;
}

}  // namespace coder::cli
