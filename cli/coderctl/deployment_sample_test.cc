#include "cli/coderctl/deployment_sample.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "libs/events/proto_time.h"

namespace coder::cli {
namespace {

using Catch::Contains;

const absl::Time kNow = absl::FromUnixSeconds(1'780'000'000);

api::v1::Workspace Building(const std::string& name, events::v1::JobStatus status,
                            absl::Duration age, int matching) {
  api::v1::Workspace workspace;
  workspace.set_owner_name("ann");
  workspace.set_name(name);
  auto& build = *workspace.mutable_latest_build();
  build.set_transition(events::v1::BUILD_TRANSITION_START);
  *build.mutable_create_time() = events::ToProto(kNow - age);
  build.mutable_job()->set_status(status);
  build.mutable_job()->set_matching_provisioners(matching);
  return workspace;
}

DeploymentSample Sample() {
  DeploymentSample sample{.time = kNow, .version = "1.2.3"};
  sample.building = {Building("lonely", events::v1::JOB_STATUS_PENDING, absl::Seconds(75), 0),
                     Building("waits", events::v1::JOB_STATUS_PENDING, absl::Seconds(5), 1),
                     Building("evil\x1b[2J", events::v1::JOB_STATUS_RUNNING, absl::Seconds(2), 1)};
  for (const auto status :
       {api::v1::PROVISIONER_DAEMON_STATUS_BUSY, api::v1::PROVISIONER_DAEMON_STATUS_IDLE,
        api::v1::PROVISIONER_DAEMON_STATUS_OFFLINE}) {
    auto& daemon = sample.daemons.emplace_back();
    daemon.set_status(status);
    daemon.set_slots(4);
    daemon.set_running_jobs(status == api::v1::PROVISIONER_DAEMON_STATUS_BUSY ? 3 : 0);
  }
  auto& job = sample.jobs.emplace_back();
  job.set_provisioner("echo");
  job.set_type(api::v1::JOB_TYPE_WORKSPACE_BUILD);
  job.set_status(events::v1::JOB_STATUS_PENDING);
  sample.jobs.push_back(job);
  auto& stream = sample.stream.emplace();
  stream.set_head(100);
  stream.set_ring_head(98);
  stream.set_confirmed_position(90);
  return sample;
}

TEST_CASE("a sample tells counts, ages, stale daemons and how far the stream is behind") {
  const std::string text = SampleToText(Sample(), nullptr, 20);
  CHECK_THAT(text, Contains("1 running, 2 pending, the oldest for 1m15s\n"));
  CHECK_THAT(text, Contains("queue         2 echo build pending\n"));
  // The slots of a daemon that is gone are none.
  CHECK_THAT(text, Contains("1 busy, 1 idle, 1 stale; 3 of 8 slots in use\n"));
  CHECK_THAT(text, Contains("head 100, this replica 2 behind, the stream 10 behind"));
  CHECK_THAT(text, Contains("no daemon fits"));
  CHECK_THAT(text, !Contains("\x1b"));
  CHECK_THAT(text, !Contains("events "));
}

TEST_CASE("a table that is too long says how much is left out") {
  const std::string text = SampleToText(Sample(), nullptr, 1);
  CHECK_THAT(text, Contains("ann/lonely"));
  CHECK_THAT(text, !Contains("ann/waits"));
  CHECK_THAT(text, Contains("and 2 more; see --rows\n"));
}

TEST_CASE("the same for programs") {
  const auto json = SampleToJson(Sample(), nullptr);
  CHECK(json["builds"]["pending"] == 2);
  CHECK(json["builds"]["oldest_pending_seconds"] == 75);
  CHECK(json["builds"]["list"][0]["workspace"] == "ann/lonely");
  CHECK(json["provisioners"]["stale"] == 1);
  CHECK(json["stream"]["confirmed_behind"] == 10);
  CHECK(json["missing"].empty());
  CHECK_FALSE(json.contains("events_seen"));
}

TEST_CASE("what may not be seen is named, and what is not whole says so") {
  DeploymentSample sample = Sample();
  sample.stream.reset();
  sample.missing["stream"] = absl::PermissionDeniedError("read the status: owners only");
  sample.missing["builds"] = absl::ResourceExhaustedError("there are more than 500");
  SeenEvents events{.status = absl::FailedPreconditionError("not enabled")};
  const std::string text = SampleToText(sample, &events, 20);
  CHECK_THAT(text, Contains("stream        not shown: PERMISSION_DENIED: read the status"));
  CHECK_THAT(text, Contains("2 pending, the oldest for 1m15s (not all: there are more than 500)"));
  CHECK_THAT(text, Contains("events        FAILED_PRECONDITION: not enabled\n"));
  const auto json = SampleToJson(sample, &events);
  CHECK(json["missing"].size() == 3);
  CHECK_FALSE(json.contains("stream"));
}

TEST_CASE("events are counted and the last one is told") {
  SeenEvents events{.count = 7};
  auto& event = *events.newest.emplace_back().mutable_event();
  event.set_owner_name("ann");
  event.set_workspace_name("dev");
  event.set_transition(events::v1::BUILD_TRANSITION_STOP);
  event.set_job_status(events::v1::JOB_STATUS_SUCCEEDED);
  CHECK_THAT(SampleToText(Sample(), &events, 20),
             Contains("7 since this view began, the last: ann/dev stop succeeded\n"));
  CHECK(SampleToJson(Sample(), &events)["events_seen"] == 7);
}

}  // namespace
}  // namespace coder::cli
