#include <catch2/catch.hpp>
#include <thread>

#include "services/coderd-api/provisioner_service_fixture.h"

namespace coder::api {
namespace {

using testing::IsOk;
using testing::StatusIs;
using Fixture = ProvisionerServiceFixture;

TEST_CASE("a follower reads a log as it grows and ends with the job") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  const auto append = [&](int64_t first, const std::string& output) {
    pb::AppendLogsRequest request;
    *request.mutable_lease() = lease;
    request.set_first_line(first);
    request.add_lines()->set_output(output);
    REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::AppendLogs, request)), IsOk());
  };
  append(0, "one");
  auto context = f.Context(f.user.text);
  v1::StreamJobLogsRequest request;
  request.set_job_id(lease.job_id());
  request.set_follow(true);
  const auto reader = f.log_stub->StreamJobLogs(context.get(), request);
  v1::StreamJobLogsResponse message;
  REQUIRE(reader->Read(&message));
  CHECK(message.logs(0).output() == "one");
  append(1, "two");
  f.followers.WakeAll();
  pb::FailJobRequest fail;
  *fail.mutable_lease() = lease;
  fail.set_error("no space");
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)), IsOk());
  std::string output;
  std::jthread poll([&f](std::stop_token stop) {
    while (f.clock.Wait(absl::Milliseconds(20), stop)) f.followers.WakeAll();
  });
  while (!message.has_job() && reader->Read(&message)) {
    for (const auto& line : message.logs()) output += line.output();
  }
  CHECK(output == "two");
  CHECK(message.job().error() == "no space");
  CHECK_FALSE(reader->Read(&message));
  CHECK_THAT(Of(reader->Finish()), IsOk());
}

TEST_CASE("administrators see jobs by pages, and the daemons of their organization") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.QueueBuild("ws" + std::to_string(i));
  Daemon daemon(f, 2);
  const pb::Lease lease = daemon.Job().lease();
  f.world.identities.SetSiteRoles(f.world.owner, {auth::SiteRole::kOwner});

  v1::ListProvisionerJobsRequest list;
  list.set_organization_id(f.world.organization.ToString());
  list.set_page_size(3);
  v1::ListProvisionerJobsResponse page;
  REQUIRE_THAT(Of(f.admin_stub->ListProvisionerJobs(f.Context(f.user.text).get(), list, &page)),
               IsOk());
  CHECK(page.jobs_size() == 3);
  list.set_page_token(page.next_page_token());
  REQUIRE_THAT(Of(f.admin_stub->ListProvisionerJobs(f.Context(f.user.text).get(), list, &page)),
               IsOk());
  CHECK(page.jobs_size() == 1);
  CHECK(page.next_page_token().empty());

  v1::GetProvisionerJobRequest get;
  get.set_id(lease.job_id());
  v1::GetProvisionerJobResponse got;
  REQUIRE_THAT(Of(f.admin_stub->GetProvisionerJob(f.Context(f.user.text).get(), get, &got)),
               IsOk());
  CHECK(got.job().worker_name() == "daemon");
  CHECK(got.job().matching_provisioners() == 1);

  v1::ListProvisionerDaemonsRequest daemons;
  daemons.set_organization_id(f.world.organization.ToString());
  v1::ListProvisionerDaemonsResponse listed;
  REQUIRE_THAT(
      Of(f.admin_stub->ListProvisionerDaemons(f.Context(f.user.text).get(), daemons, &listed)),
      IsOk());
  REQUIRE(listed.daemons_size() == 1);
  CHECK(listed.daemons(0).status() == v1::PROVISIONER_DAEMON_STATUS_BUSY);
  CHECK(listed.daemons(0).slots() == 2);
}

TEST_CASE("a log is nobody's who may not see the workspace") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  f.world.Run("UPDATE api_keys SET user_id = $1", {f.world.other.ToString()});
  auto context = f.Context(f.user.text);
  v1::StreamJobLogsRequest request;
  request.set_job_id(lease.job_id());
  const auto reader = f.log_stub->StreamJobLogs(context.get(), request);
  v1::StreamJobLogsResponse message;
  CHECK_FALSE(reader->Read(&message));
  CHECK_THAT(Of(reader->Finish()), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace coder::api
