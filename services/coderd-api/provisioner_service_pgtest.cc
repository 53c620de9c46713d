#include <catch2/catch.hpp>

#include "services/coderd-api/provisioner_service_fixture.h"

namespace coder::api {
namespace {

using testing::IsOk;
using testing::StatusIs;
using Fixture = ProvisionerServiceFixture;

TEST_CASE("a job runs from heartbeat to completion, its state sealed and stored before") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  CHECK(f.DownloadState(lease).empty());

  pb::HeartbeatRequest beat;
  *beat.mutable_lease() = lease;
  pb::HeartbeatResponse answer;
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat, &answer)), IsOk());
  CHECK_FALSE(answer.cancel_requested());
  f.world.Run("UPDATE provisioner_jobs SET canceled_at = now() WHERE id = $1", {lease.job_id()});
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat, &answer)), IsOk());
  CHECK(answer.cancel_requested());

  const std::string state(200'000, 's');
  pb::UploadStateResponse uploaded;
  REQUIRE_THAT(Of(f.Upload(lease, state, uploaded)), IsOk());
  CHECK_FALSE(uploaded.stored_late());
  CHECK(f.DownloadState(lease) == state);
  CHECK(f.world.Run("SELECT sealed_state FROM workspace_builds")
            .Get<pg::Bytea>(0, 0)
            .bytes.find("ssss") == std::string::npos);

  pb::CompleteJobRequest complete;
  *complete.mutable_lease() = lease;
  complete.mutable_workspace_build()->add_resources()->set_type("null_resource");
  for (int i = 0; i < 2; ++i) {
    REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::CompleteJob, complete)), IsOk());
  }
  CHECK(f.StatusOf(lease) == "succeeded");
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::Heartbeat, beat)) == "LEASE_LOST");
  CHECK(f.world.Run("SELECT count(*) FROM workspace_resources").Get<int64_t>(0, 0) == 1);
}

TEST_CASE("a runner that lost its lease is told so, and only its state is kept") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  const pb::Lease lease = daemon.Job().lease();
  f.world.Run("UPDATE provisioner_jobs SET lease_expires_at = now() - interval '1 s' WHERE id = $1",
              {lease.job_id()});
  REQUIRE(f.store.ReapExpired(10, clock::Deadline::After(absl::Minutes(1))).value().size() == 1);
  pb::CompleteJobRequest complete;
  *complete.mutable_lease() = lease;
  complete.mutable_workspace_build();
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::CompleteJob, complete)) == "LEASE_LOST");
  pb::AppendLogsRequest append;
  *append.mutable_lease() = lease;
  CHECK(ReasonOf(f.Call(&pb::ProvisionerService::Stub::AppendLogs, append)) == "LEASE_LOST");
  pb::UploadStateResponse uploaded;
  REQUIRE_THAT(Of(f.Upload(lease, "late", uploaded)), IsOk());
  CHECK(uploaded.stored_late());
}

TEST_CASE("a failed job says why and a released one waits again") {
  Fixture f;
  f.QueueBuild("dev");
  Daemon daemon(f, 1);
  pb::ReleaseJobRequest release;
  *release.mutable_lease() = daemon.Job().lease();
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::ReleaseJob, release)), IsOk());
  const pb::Lease lease = daemon.Job().lease();
  pb::FailJobRequest fail;
  *fail.mutable_lease() = lease;
  CHECK_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)),
             StatusIs(absl::StatusCode::kInvalidArgument, "error"));
  fail.set_error(std::string(2000, 'e'));
  REQUIRE_THAT(Of(f.Call(&pb::ProvisionerService::Stub::FailJob, fail)), IsOk());
  CHECK(f.StatusOf(lease) == "failed");
}

}  // namespace
}  // namespace coder::api
