#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "coder/api/v1/auth.grpc.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "coder/api/v1/watch.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "coder/provisioner/v1/provisioner.grpc.pb.h"
#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "libs/testing/nats_server.h"
#include "services/coderd-api/testing/api_server.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

using ::coder::testing::IsOk;

constexpr absl::Duration kPatience = absl::Seconds(60);

// The system's clock on which no timer of a second or more ever goes off: what happens there
// happens because something else asked for it.
class TimerlessClock final : public clock::Clock {
 public:
  absl::Time Now() const override { return system_.Now(); }
  absl::Duration MonotonicNow() const override { return system_.MonotonicNow(); }
  bool Wait(absl::Duration duration, std::stop_token stop) override {
    if (duration < absl::Seconds(1)) return system_.Wait(duration, std::move(stop));
    return system_.Wait(absl::InfiniteDuration(), std::move(stop));
  }

 private:
  clock::SystemClock system_;
};

// One replica with all slices the tests need.
struct Replica {
  Replica(storage::MigratedDatabase& database, clock::Clock& clock, const std::string& nats_url)
      : server({WireWatch, WireIdentity, [](Wiring& w) { WireWorkspaces(w, WireJobs(w)); },
                [this](Wiring& w) { w.hints().Hear("coderd.test", [this] { ++heard; }); }},
               [&](Config& config) { config.nats_url = server::Secret(nats_url); },
               {&database, &clock}) {
    server.StartParts();
  }

  std::atomic<int> heard = 0;
  ApiServer server;
};

// Two replicas on one database and one NATS, each of which hears what the other one hints.
struct Fixture {
  Fixture() {
    world.identities.SetSiteRoles(world.owner, {auth::SiteRole::kOwner});
    AwaitHeard(here, there);
    AwaitHeard(there, here);
  }

  // Listeners are made in order, the test's last: who hears it hears all.
  static void AwaitHeard(Replica& from, Replica& to) {
    clock::SystemClock clock;
    const auto deadline = clock::Deadline::After(kPatience);
    while (to.heard == 0 && !deadline.Expired()) {
      from.server.wiring().hints().Send("coderd.test");
      clock.Wait(absl::Milliseconds(20), {});
    }
    REQUIRE(to.heard > 0);
  }

  testing::NatsServer nats;
  TimerlessClock clock;
  storage::MigratedDatabase database{20};
  storage::SampleWorld world{database.pool()};
  Replica here{database, clock, nats.url()};
  Replica there{database, clock, nats.url()};
  std::string owner = world.identities.AddSession(world.owner);
};

// An open watch of all builds.
struct Watch {
  Watch(Replica& replica, const std::string& token)
      : stub(v1::WatchService::NewStub(replica.server.channel())) {
    const auto deadline = clock::Deadline::After(kPatience);
    v1::WatchAllWorkspaceBuildsResponse first;
    bool open = false;
    // A replica refuses until its ring is filled.
    while (!open && !deadline.Expired()) {
      reader.reset();
      context = std::make_unique<grpc::ClientContext>();
      Authorize(*context, token);
      context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kPatience));
      reader = stub->WatchAllWorkspaceBuilds(context.get(), {});
      open = reader->Read(&first);
    }
    REQUIRE(open);
  }
  ~Watch() { context->TryCancel(); }

  std::string Ending() {
    v1::WatchAllWorkspaceBuildsResponse response;
    while (reader->Read(&response)) {
    }
    const auto reason = status::ReasonOf(server::StatusFromGrpc(reader->Finish()));
    return reason ? reason->reason : "";
  }

  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<v1::WatchService::Stub> stub;
  std::unique_ptr<grpc::ClientReader<v1::WatchAllWorkspaceBuildsResponse>> reader;
};

TEST_CASE("a change of rights ends the watches of every replica without a timer") {
  Fixture f;
  const std::string first = f.world.identities.AddSession(f.world.other);
  Watch at_home(f.here, first);
  Watch abroad(f.there, first);

  SECTION("a log-out") {
    const auto stub = v1::AuthService::NewStub(f.here.server.channel());
    REQUIRE_THAT(Call<v1::LogoutResponse>(first, v1::LogoutRequest(),
                                          [&](auto... a) { return stub->Logout(a...); }),
                 IsOk());
    CHECK(at_home.Ending() == "TOKEN_REVOKED");
    CHECK(abroad.Ending() == "TOKEN_REVOKED");
  }
  SECTION("a suspension") {
    const auto stub = v1::UserService::NewStub(f.here.server.channel());
    v1::SetUserStatusRequest suspend;
    suspend.set_user("bob");
    suspend.set_status(v1::USER_STATUS_SUSPENDED);
    REQUIRE_THAT(Call<v1::SetUserStatusResponse>(
                     f.owner, suspend, [&](auto... a) { return stub->SetUserStatus(a...); }),
                 IsOk());
    CHECK(at_home.Ending() == "USER_SUSPENDED");
    CHECK(abroad.Ending() == "USER_SUSPENDED");
  }
}

TEST_CASE("a provisioner that waits at one replica runs what was queued at the other") {
  namespace pb = provisioner::v1;
  Fixture f;
  const auto provisioners = pb::ProvisionerService::NewStub(f.there.server.channel());
  grpc::ClientContext context;
  Authorize(context, f.there.server.AddProvisionerKey(f.world.organization, f.world.owner));
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kPatience));
  const auto daemon = provisioners->AcquireJobs(&context);
  pb::AcquireJobsRequest request;
  request.mutable_hello()->set_name("daemon");
  request.mutable_hello()->add_provisioners("echo");
  request.mutable_hello()->set_slots(1);
  REQUIRE(daemon->Write(request));
  pb::AcquireJobsResponse response;
  REQUIRE(daemon->Read(&response));
  REQUIRE(response.has_welcome());

  const auto workspaces = v1::WorkspaceService::NewStub(f.here.server.channel());
  for (const char* name : {"one", "two", "three"}) {
    request.mutable_acquire();
    REQUIRE(daemon->Write(request));
    v1::CreateWorkspaceRequest create;
    create.set_name(name);
    create.set_template_id(f.world.template_id.ToString());
    REQUIRE_THAT(Call<v1::CreateWorkspaceResponse>(
                     f.owner, create, [&](auto... a) { return workspaces->CreateWorkspace(a...); }),
                 IsOk());
    REQUIRE(daemon->Read(&response));
    REQUIRE(response.has_job());
    CHECK(response.job().workspace_build().workspace_name() == name);
  }
}

}  // namespace
}  // namespace coder::api
