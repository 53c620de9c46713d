#include <catch2/catch.hpp>

#include "services/coderd-api/daemon_presence_pass.h"
#include "services/coderd-api/provisioner_service_fixture.h"

namespace coder::api {
namespace {

using lifecycle::BuildId;
using testing::IsOk;
using testing::StatusIs;
using Fixture = ProvisionerServiceFixture;

TEST_CASE("a waiting daemon is given the job when it is queued") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  const BuildId build = f.QueueBuild("dev");
  const auto response = daemon.Next();
  REQUIRE(response.has_job());
  const pb::Job& job = response.job();
  CHECK(job.workspace_build().build_id() == build.ToString());
  CHECK(job.workspace_build().access_url() == "http://coder.test");
  CHECK(job.lease_duration().seconds() == 30);
  CHECK(f.StatusOf(job.lease()) == "running");
}

TEST_CASE("each acquire has exactly one answer, a job or a withdrawal") {
  Fixture f;
  Daemon daemon(f, 3);
  for (int i = 0; i < 3; ++i) daemon.Acquire();
  f.QueueBuild("dev");
  CHECK(daemon.Next().has_job());
  daemon.Withdraw();
  CHECK(daemon.Next().has_withdrawn());
  CHECK(daemon.Next().has_withdrawn());
  // Withdrawn slots may be asked for again.
  daemon.Acquire();
  f.QueueBuild("two");
  CHECK(daemon.Next().has_job());
}

TEST_CASE("a daemon may not wait with more slots than it has") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  daemon.Acquire();
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kInvalidArgument, "slots"));
}

TEST_CASE("a stream begins with a hello under a key") {
  Fixture f;
  const auto first_message = [&f](const std::string& token, bool hello) {
    auto context = f.Context(token);
    const auto stream = f.stub->AcquireJobs(context.get());
    pb::AcquireJobsRequest request;
    if (hello) {
      request.mutable_hello()->set_name("d");
      request.mutable_hello()->add_provisioners("echo");
      request.mutable_hello()->set_slots(1);
    } else {
      request.mutable_acquire();
    }
    stream->Write(request);
    pb::AcquireJobsResponse response;
    while (stream->Read(&response)) {
    }
    return Of(stream->Finish());
  };
  CHECK_THAT(first_message(f.key.text, false),
             StatusIs(absl::StatusCode::kInvalidArgument, "hello"));
  CHECK_THAT(first_message(auth::GenerateProvisionerKey().text, true),
             StatusIs(absl::StatusCode::kUnauthenticated));
  CHECK_THAT(first_message(f.user.text, true), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_CASE("a job for a stream that is gone goes back to the queue") {
  Fixture f;
  Daemon gone(f, 1, "gone");
  gone.Acquire();
  gone.context->TryCancel();
  CHECK_THAT(gone.Ending(), StatusIs(absl::StatusCode::kCancelled));
  f.QueueBuild("dev");
  Daemon daemon(f, 1, "stays");
  CHECK(daemon.Job().workspace_build().workspace_name() == "dev");
}

TEST_CASE("a draining server says so and ends the stream") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  f.QueueBuild("dev");
  REQUIRE(daemon.Next().has_job());
  for (const auto& stream : f.streams.All()) stream->Drain();
  CHECK(daemon.Next().has_drain());
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kUnavailable, "reconnect"));
}

TEST_CASE("a revoked key ends its waiting streams at the next pass") {
  Fixture f;
  Daemon daemon(f, 1);
  daemon.Acquire();
  f.world.Run("UPDATE provisioner_keys SET revoked_at = now()");
  DaemonPresencePass pass(f.store, f.streams, nullptr);
  REQUIRE_THAT(pass.Run({}), IsOk());
  CHECK_THAT(daemon.Ending(), StatusIs(absl::StatusCode::kPermissionDenied, "revoked"));
}

}  // namespace
}  // namespace coder::api
