#include <prometheus/registry.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/auth/token.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_lifecycle_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/autostart-scheduler/grpc_lifecycle_client.h"
#include "services/autostart-scheduler/scheduler_pass.h"
#include "services/coderd-api/lifecycle_service.h"

namespace coder::api {
namespace {

using lifecycle::LifecycleCandidate;
using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;
using lifecycle::LifecycleProposal;
using lifecycle::WorkspaceId;
using testing::IsOk;
using testing::StatusIs;

class CountingPoker : public events::OutboxPoker {
 public:
  void Poke() override { ++count; }
  std::atomic<int> count = 0;
};

std::string ReasonOf(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

// The service behind its gate, and the scheduler's own client before it.
struct Fixture {
  Fixture() {
    queue_signal.Subscribe([this](const auto& id) { queue_pokes += id == world.organization; });
    world.AddDaemon();
    now = world.Run("SELECT now()").Get<absl::Time>(0, 0);
    grpc.AddService(service, LifecycleService::kName);
    REQUIRE_THAT(grpc.Start(), IsOk());
  }
  ~Fixture() { grpc.Stop(); }

  // A running workspace whose deadline has come.
  WorkspaceId DueToStop(const std::string& name) {
    const WorkspaceId id = world.AddWorkspace(name);
    const lifecycle::BuildId build = world.AddBuild(id);
    world.MoveJob(build, "succeeded");
    world.Run("UPDATE workspace_builds SET deadline = $2 WHERE id = $1", {build.ToString(), now});
    return id;
  }

  scheduler::GrpcLifecycleClient Client(const std::string& token) {
    return {grpc.InProcessChannel(), server::Secret(token)};
  }

  storage::MigratedDatabase database;
  storage::SampleWorld world{database.pool()};
  absl::Time now;
  std::string token = auth::GenerateServiceToken();
  clock::SystemClock clock;
  prometheus::Registry registry;
  ids::UuidV7Generator ids{[this] { return clock.Now(); }, ids::SystemRandom()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  storage::PgCredentialStore credentials{pool};
  Authenticator authenticator{credentials, clock, server::Secret(token)};
  CallGate gate{authenticator, clock};
  storage::PgLifecycleStore store{pool, ids};
  CountingPoker poker;
  JobQueueSignal queue_signal;
  std::atomic<int> queue_pokes = 0;
  LifecycleService service{gate, store, poker, queue_signal};
  server::GrpcServer grpc{{.drain_delay = absl::ZeroDuration()}, clock, registry};
};

TEST_CASE("the scheduler's tick stops what has come to its deadline, once") {
  Fixture f;
  const WorkspaceId id = f.DueToStop("dev");
  auto client = f.Client(f.token);
  scheduler::SchedulerMetrics metrics(f.registry);
  scheduler::SchedulerPass first(client, f.clock, metrics);
  // The deadline is within this minute, so that this minute's tick may come before it.
  f.world.Run("UPDATE workspace_builds SET deadline = deadline - interval '1 minute'");
  REQUIRE_THAT(first.Run(std::stop_token()), IsOk());
  REQUIRE_THAT(first.Run(std::stop_token()), IsOk());
  CHECK(f.poker.count == 1);
  CHECK(f.queue_pokes == 1);
  const auto builds = f.world.Run(
      "SELECT transition || ' ' || reason FROM workspace_builds WHERE workspace_id = $1 "
      "ORDER BY build_number",
      {id.ToString()});
  REQUIRE(builds.rows() == 2);
  CHECK(builds.Get<std::string>(1, 0) == "stop autostop");
}

TEST_CASE("a candidate arrives as it left the database") {
  Fixture f;
  const WorkspaceId id = f.DueToStop("dev");
  f.world.Run("UPDATE users SET status = 'dormant'");
  f.world.Run(
      "UPDATE templates SET allow_user_autostart = false, autostart_allowed_days = 31, "
      "autostart_catch_up = interval '20 min', failure_ttl = interval '2 h', "
      "time_til_dormant = interval '3 days', time_til_dormant_autodelete = interval '4 days'");
  f.world.Run(
      "UPDATE workspaces SET autostart_schedule = 'CRON_TZ=Europe/Berlin 30 9 * * 1-5', "
      "dormant_at = now(), deleting_at = now() + interval '4 days'");
  const auto stored = f.store.Candidates({id}, clock::Deadline::After(absl::Minutes(1)));
  REQUIRE_THAT(stored, IsOk());
  REQUIRE(stored->size() == 1);
  std::vector<LifecycleCandidate> received;
  auto client = f.Client(f.token);
  REQUIRE_THAT(client.StreamCandidates(
                   f.now, std::stop_token(),
                   [&](const LifecycleCandidate& candidate) { received.push_back(candidate); }),
               IsOk());
  REQUIRE(received.size() == 1);
  CHECK(received[0].workspace_id == id);
  const auto& want = (*stored)[0].snapshot;
  const auto& got = received[0].snapshot;
  CHECK(got.owner_status == lifecycle::UserStatus::kDormant);
  CHECK(got.transition == want.transition);
  CHECK(got.job_status == want.job_status);
  CHECK(got.build_created_at == want.build_created_at);
  CHECK(got.job_completed_at == want.job_completed_at);
  CHECK(got.deadline == want.deadline);
  CHECK(got.autostart_schedule == want.autostart_schedule);
  CHECK(got.autostart_decided_until == want.autostart_decided_until);
  CHECK(got.autostart_set_at.has_value());
  CHECK(got.autostart_set_at == want.autostart_set_at);
  CHECK(got.last_used_at == want.last_used_at);
  CHECK(got.dormant_at == want.dormant_at);
  CHECK(got.deleting_at == want.deleting_at);
  CHECK_FALSE(got.policy.allow_user_autostart);
  CHECK(got.policy.autostart_allowed_days == 31);
  CHECK(got.policy.autostart_catch_up == absl::Minutes(20));
  CHECK(got.policy.failure_ttl == absl::Hours(2));
  CHECK(got.policy.time_til_dormant == absl::Hours(72));
  CHECK(got.policy.time_til_dormant_autodelete == absl::Hours(96));
}

TEST_CASE("more decisions than one transaction takes are answered in their order") {
  Fixture f;
  std::vector<LifecycleProposal> proposals;
  for (int i = 0; i < 120; ++i) {
    const WorkspaceId id =
        i % 2 == 0 ? f.DueToStop(absl::StrCat("dev-", i)) : f.world.NewId<WorkspaceId>();
    proposals.push_back({id, LifecycleKind::kAutostop, f.now});
  }
  auto client = f.Client(f.token);
  const auto results = client.Apply(f.now, proposals);
  REQUIRE_THAT(results, IsOk());
  REQUIRE(results->size() == proposals.size());
  for (size_t i = 0; i < results->size(); ++i) {
    CHECK((*results)[i].outcome ==
          (i % 2 == 0 ? LifecycleOutcome::kApplied : LifecycleOutcome::kNotDue));
    CHECK((*results)[i].build_id.has_value() == (i % 2 == 0));
  }
  CHECK(f.poker.count == 2);
}

TEST_CASE("only services may ask, and only what makes sense") {
  Fixture f;
  const auto apply = [&](const std::string& token, std::vector<LifecycleProposal> proposals) {
    auto client = f.Client(token);
    return client.Apply(f.now, proposals).status();
  };
  const LifecycleProposal fine{f.world.NewId<WorkspaceId>(), LifecycleKind::kAutostop, f.now};
  CHECK_THAT(apply(f.token, {fine}), IsOk());
  CHECK_THAT(apply(auth::GenerateServiceToken(), {fine}),
             StatusIs(absl::StatusCode::kUnauthenticated));

  const std::string user = f.world.identities.AddSession(f.world.owner);
  CHECK(ReasonOf(apply(user, {fine})) == "WRONG_CALLER_KIND");

  CHECK_THAT(apply(f.token, std::vector<LifecycleProposal>(501, fine)),
             StatusIs(absl::StatusCode::kInvalidArgument, "at most 500"));
  LifecycleProposal malformed = fine;
  malformed.attempt = 0;
  CHECK_THAT(apply(f.token, {malformed}),
             StatusIs(absl::StatusCode::kInvalidArgument, "attempt: counts from 1"));
  malformed = fine;
  malformed.workspace_id = WorkspaceId();
  CHECK_THAT(apply(f.token, {malformed}),
             StatusIs(absl::StatusCode::kInvalidArgument, "workspace_id"));

  auto client = f.Client(f.token);
  const absl::Status ahead = client.StreamCandidates(f.now + absl::Minutes(5), std::stop_token(),
                                                     [](const LifecycleCandidate&) {});
  CHECK(ReasonOf(ahead) == "TICK_IN_FUTURE");
}

}  // namespace
}  // namespace coder::api
