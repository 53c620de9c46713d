#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/auth/token.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "libs/storage/postgres/pg_workspace_snapshot.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/event_feed.h"
#include "services/coderd-api/watch_service.h"

namespace coder::api {
namespace {

using testing::IsOk;

constexpr absl::Duration kPatience = absl::Seconds(60);

std::string ReasonOf(const grpc::Status& status) {
  const auto reason = status::ReasonOf(server::StatusFromGrpc(status));
  return reason ? reason->reason : "";
}

// The service on a port over a real database, whose outbox a thread sequences; no NATS.
struct Fixture {
  explicit Fixture(bool enabled = true, fanout::Ring::Limits ring = {})
      : hub(ring, {.watches_per_caller = 3}) {
    parts.enabled = enabled;
    AddKey(owner, world.owner);
    AddKey(member, world.other);
    world.Run("UPDATE users SET site_roles = '{owner}' WHERE id = $1", {world.owner.ToString()});
    grpc.AddService(service, WatchService::kName);
    REQUIRE_THAT(pump.Prime(), IsOk());
    REQUIRE_THAT(feed.Start(), IsOk());
    REQUIRE_THAT(rights.Start(), IsOk());
    REQUIRE_THAT(grpc.Start(), IsOk());
    // A client whose buffers do not grow, so that not reading is soon felt.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stub = v1::WatchService::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(grpc.port()), grpc::InsecureChannelCredentials(), arguments));
    relay = std::jthread([this](std::stop_token stop) { Relay(stop); });
  }
  ~Fixture() {
    relay = std::jthread();
    sessions.Drain();
    grpc.Drain(absl::Seconds(10));
    grpc.Stop();
    rights.Drain(absl::Seconds(1));
    rights.Stop();
    feed.Stop();
  }

  void AddKey(const auth::NewApiKey& key, const lifecycle::UserId& user) {
    world.Run(
        "INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at) "
        "VALUES ($1, $2, $3, 'session', interval '1 day', now() + interval '1 day')",
        {key.id, pg::Bytea{key.secret_hash}, user.ToString()});
  }

  void Relay(std::stop_token stop) {
    storage::PgSequencer sequencer({.conninfo = database.conninfo()});
    while (clock.Wait(absl::Milliseconds(5), stop)) {
      const auto session = sequencer.Session();
      if (session.ok() && !held) (void)sequencer.Sequence(*session, 1000, 0);
    }
  }

  void WriteEvent(const lifecycle::BuildId& build) {
    REQUIRE_THAT(
        pg::RunInTransaction(database.pool(), {.deadline = clock::Deadline::After(kPatience)},
                             [&](pg::Transaction& tx) -> absl::Status {
                               auto locked = tx.Execute(
                                   "SELECT w.id FROM workspaces w JOIN workspace_builds b "
                                   "ON b.workspace_id = w.id WHERE b.id = $1 FOR UPDATE OF w",
                                   {build.ToString()});
                               if (!locked.ok()) return locked.status();
                               return storage::WriteBuildEvent(tx, build);
                             }),
        IsOk());
  }

  lifecycle::BuildId AddBuilt(const std::string& name, const lifecycle::UserId& user) {
    return world.AddBuild(world.AddWorkspace(name, user));
  }

  int64_t Head() { return world.Run("SELECT head FROM relay_cursor").Get<int64_t>(0, 0); }
  void AwaitHead(int64_t head) {
    const auto deadline = clock::Deadline::After(kPatience);
    while ((Head() < head || hub.ring().bounds().head < head) && !deadline.Expired()) {
    }
    REQUIRE(hub.ring().bounds().head == head);
  }

  clock::SystemClock clock;
  storage::MigratedDatabase database{20};
  storage::SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
                 .max_connections = 10}};
  prometheus::Registry registry;
  auth::NewApiKey owner = auth::GenerateApiKey();
  auth::NewApiKey member = auth::GenerateApiKey();
  std::atomic<bool> held = false;

  storage::PgCredentialStore credentials{pool};
  Authenticator authenticator{credentials, clock, server::Secret("")};
  CallGate gate{authenticator, clock};
  storage::PgEventLog log{pool};
  storage::PgWorkspaceSnapshot states{pool};
  fanout::WatchHub hub;
  fanout::EventPump pump{hub, log, {.poll_interval = absl::Milliseconds(10)}};
  WatchSessions sessions{{.watches_per_caller = 3}};
  WatchEncoder encoder;
  WatchMetrics metrics{registry};
  WorkQueue steps{2, 10'000};
  WorkQueue blocking{4, 10'000};
  server::Loop rights{
      {.name = "rights", .interval = absl::Milliseconds(100)},
      [this](std::stop_token) { return sessions.CheckRights(authenticator, clock); },
      clock,
      registry};
  WatchParts parts{.gate = gate,
                   .clock = clock,
                   .hub = hub,
                   .pump = pump,
                   .log = log,
                   .states = states,
                   .sessions = sessions,
                   .encoder = encoder,
                   .metrics = metrics,
                   .steps = steps,
                   .blocking = blocking,
                   .check_rights = [this] { rights.Wake(); },
                   .write_limit = absl::Seconds(1),
                   .finish_grace = absl::Milliseconds(200)};
  ReplicaHints hints;
  EventFeed feed{{.tick = absl::Milliseconds(10)},
                 pump,
                 hints,
                 clock,
                 [this](absl::Duration now) {
                   hub.Tick(now);
                   sessions.Tick(now);
                 },
                 [](const events::Pack&) {}};
  WatchService service{parts};
  server::GrpcServer grpc{{.drain_delay = absl::ZeroDuration()}, clock, registry};
  std::unique_ptr<v1::WatchService::Stub> stub;
  std::jthread relay;
};

struct Watch {
  Watch(Fixture& f, const auth::NewApiKey& key, const v1::WatchAllWorkspaceBuildsRequest& request) {
    context.AddMetadata("authorization", "Bearer " + key.text);
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kPatience));
    reader = f.stub->WatchAllWorkspaceBuilds(&context, request);
  }
  ~Watch() { context.TryCancel(); }

  // Reads one response; false at the end.
  bool Next() {
    response.Clear();
    if (!reader->Read(&response)) return false;
    if (!response.resume_token().empty()) token = response.resume_token();
    for (const auto& watched : response.events()) {
      CHECK(watched.position() > position);
      position = watched.position();
      events.push_back(watched);
    }
    for (const auto& item : response.snapshot_items()) items.push_back(item);
    return true;
  }
  void Expect(size_t count) {
    while (events.size() < count && Next()) {
    }
    REQUIRE(events.size() == count);
  }
  std::string Ending() {
    while (Next()) {
    }
    return ReasonOf(reader->Finish());
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchAllWorkspaceBuildsResponse>> reader;
  v1::WatchAllWorkspaceBuildsResponse response;
  std::vector<v1::WatchedBuildEvent> events;
  std::vector<coder::events::v1::BuildEvent> items;
  std::string token;
  int64_t position = 0;
};

v1::WatchAllWorkspaceBuildsRequest From(const std::string& token) {
  v1::WatchAllWorkspaceBuildsRequest request;
  request.set_resume_token(token);
  return request;
}

std::string TokenOf(int64_t epoch, int64_t position, uint32_t hash) {
  return events::EncodeResumeToken({.epoch = epoch, .position = position, .event_hash = hash});
}

TEST_CASE("events come once and in order, and a token resumes after the last one") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  std::string token;
  {
    Watch watch(f, f.owner, {});
    REQUIRE(watch.Next());
    CHECK_FALSE(watch.token.empty());
    for (int i = 0; i < 5; ++i) f.WriteEvent(build);
    watch.Expect(5);
    CHECK(watch.events[4].event().workspace_version() == 5);
    CHECK(watch.events[0].event().workspace_name() == "dev");
    token = watch.token;
  }
  for (int i = 0; i < 5; ++i) f.WriteEvent(build);
  Watch resumed(f, f.owner, From(token));
  resumed.Expect(5);
  CHECK(resumed.events[0].event().workspace_version() == 6);
  CHECK(resumed.events[4].event().workspace_version() == 10);
}

TEST_CASE("what is behind the ring comes from the log; time and position find it") {
  Fixture f(true, {.events = 2});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 20; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  Watch all(f, f.owner, From(TokenOf(1, 0, 0)));
  all.Expect(20);
  v1::WatchAllWorkspaceBuildsRequest since;
  since.mutable_start_time()->set_seconds(1);
  Watch timed(f, f.owner, since);
  timed.Expect(20);
}

TEST_CASE("the status tells where log and ring begin and end") {
  Fixture f(true, {.events = 2});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 5; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + f.owner.text);
  v1::GetBuildStreamStatusResponse status;
  const grpc::Status got = f.stub->GetBuildStreamStatus(&context, {}, &status);
  INFO(got.error_message());
  REQUIRE(got.ok());
  CHECK(status.epoch() == 1);
  CHECK(status.floor() == 0);
  CHECK(status.head() == 5);
  CHECK(status.ring_floor() == 3);
  // Both floors are positions a token may name.
  Watch from_the_floor(f, f.owner, From(TokenOf(1, status.floor(), 0)));
  from_the_floor.Expect(5);
}

TEST_CASE("a filter admits only what it names, and bookmarks come on a quiet stream") {
  Fixture f;
  const auto mine = f.AddBuilt("mine", f.world.owner);
  const auto theirs = f.AddBuilt("theirs", f.world.other);
  v1::WatchAllWorkspaceBuildsRequest request;
  request.mutable_filter()->add_owner_ids(f.world.other.ToString());
  request.mutable_bookmark_interval()->set_seconds(1);
  Watch watch(f, f.owner, request);
  REQUIRE(watch.Next());
  const std::string before = watch.token;
  f.WriteEvent(mine);
  f.AwaitHead(1);
  REQUIRE(watch.Next());
  CHECK(watch.response.events_size() == 0);
  CHECK(watch.token != before);
  f.WriteEvent(theirs);
  watch.Expect(1);
  CHECK(watch.events[0].event().workspace_name() == "theirs");
}

TEST_CASE("tokens that cannot be resumed say why") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 3; ++i) f.WriteEvent(build);
  f.AwaitHead(3);
  CHECK(Watch(f, f.owner, From("rubbish")).Ending() == "TOKEN_INVALID");
  CHECK(Watch(f, f.owner, From(TokenOf(1, 2, 12345))).Ending() == "TOKEN_INVALID");
  CHECK(Watch(f, f.owner, From(TokenOf(1, 99, 12345))).Ending() == "TOKEN_INVALID");
  CHECK(Watch(f, f.owner, From(TokenOf(0, 1, 12345))).Ending() == "EPOCH_CHANGED");
  Watch open(f, f.owner, {});
  REQUIRE(open.Next());
  f.world.Run("UPDATE relay_cursor SET epoch = 2");
  CHECK(open.Ending() == "EPOCH_CHANGED");
  CHECK(Watch(f, f.owner, From(open.token)).Ending() == "EPOCH_CHANGED");
}

TEST_CASE("a token below the log's floor is too old") {
  Fixture f(true, {.events = 1});
  const auto build = f.AddBuilt("dev", f.world.owner);
  for (int i = 0; i < 3; ++i) {
    f.WriteEvent(build);
    f.AwaitHead(i + 1);
  }
  f.world.Run("DELETE FROM build_event_packs WHERE last_position < 3");
  f.world.Run("UPDATE relay_cursor SET log_floor = 3");
  Watch old(f, f.owner, From(TokenOf(1, 1, 12345)));
  CHECK(old.Ending() == "TOKEN_TOO_OLD");
}

TEST_CASE("a snapshot under writes holds everything once, with what follows") {
  Fixture f;
  std::vector<lifecycle::BuildId> builds;
  for (int i = 0; i < 30; ++i) {
    builds.push_back(f.AddBuilt("ws-" + std::to_string(i), f.world.owner));
    f.WriteEvent(builds.back());
  }
  constexpr int kRounds = 10;
  std::jthread writer([&] {
    for (int round = 0; round < kRounds; ++round) {
      for (const auto& build : builds) f.WriteEvent(build);
    }
  });
  v1::WatchAllWorkspaceBuildsRequest request;
  request.set_snapshot(true);
  Watch watch(f, f.owner, request);
  bool complete = false;
  std::map<std::string, int64_t> versions;
  const auto done = [&] {
    if (!complete || versions.size() != builds.size()) return false;
    for (const auto& [id, version] : versions) {
      if (version != kRounds + 1) return false;
    }
    return true;
  };
  int wrong = 0;
  while (!done() && watch.Next()) {
    CHECK(watch.response.resume_token().empty() ==
          !(complete || watch.response.snapshot_complete()));
    complete = complete || watch.response.snapshot_complete();
    for (const auto& item : watch.response.snapshot_items()) {
      if (!versions.emplace(item.workspace_id(), item.workspace_version()).second) ++wrong;
    }
    for (const auto& watched : watch.response.events()) {
      const auto& event = watched.event();
      const auto [known, fresh] =
          versions.try_emplace(event.workspace_id(), event.workspace_version());
      if (!fresh && event.workspace_version() != known->second + 1) ++wrong;
      known->second = event.workspace_version();
    }
  }
  CHECK(wrong == 0);
  CHECK(done());
}

TEST_CASE("a member sees own workspaces only, and more or nothing once the rights change") {
  Fixture f;
  const auto mine = f.AddBuilt("mine", f.world.other);
  const auto theirs = f.AddBuilt("theirs", f.world.owner);
  Watch watch(f, f.member, {});
  REQUIRE(watch.Next());
  f.WriteEvent(theirs);
  f.WriteEvent(mine);
  watch.Expect(1);
  CHECK(watch.events[0].event().workspace_name() == "mine");

  const auto change = [&](const std::string& sql) {
    f.world.Run(sql, {f.world.other.ToString()});
    f.world.Run("UPDATE users SET access_version = access_version + 1 WHERE id = $1",
                {f.world.other.ToString()});
  };
  const auto caller_sees_all = [&](bool all) {
    const auto deadline = clock::Deadline::After(kPatience);
    for (;;) {
      const auto caller = f.authenticator.Authenticate("Bearer " + f.member.text,
                                                       clock::Deadline::After(kPatience));
      REQUIRE_THAT(caller, IsOk());
      if ((*caller)->site_roles.empty() != all || deadline.Expired()) return;
    }
  };
  change("UPDATE users SET site_roles = '{template-admin}' WHERE id = $1");
  caller_sees_all(true);
  REQUIRE_THAT(f.sessions.CheckRights(f.authenticator, f.clock), IsOk());
  f.WriteEvent(theirs);
  watch.Expect(2);
  CHECK(watch.events[1].event().workspace_name() == "theirs");

  change("UPDATE users SET site_roles = '{}' WHERE id = $1");
  caller_sees_all(false);
  REQUIRE_THAT(f.sessions.CheckRights(f.authenticator, f.clock), IsOk());
  f.WriteEvent(theirs);
  f.WriteEvent(mine);
  watch.Expect(3);
  CHECK(watch.events[2].event().workspace_name() == "mine");

  f.world.Run("UPDATE api_keys SET revoked_at = now() WHERE id = $1", {f.member.id});
  CHECK(watch.Ending() == "TOKEN_REVOKED");
}

TEST_CASE("a reader that does not read is cut, and others go on") {
  Fixture f;
  const auto build = f.AddBuilt("dev", f.world.owner);
  f.world.Run("UPDATE provisioner_jobs SET completed_at = now(), error = repeat('x', 1000)");
  for (int i = 0; i < 300; ++i) f.WriteEvent(build);
  f.AwaitHead(300);
  Watch slow(f, f.owner, From(TokenOf(1, 0, 0)));
  Watch quick(f, f.owner, From(TokenOf(1, 0, 0)));
  quick.Expect(300);
  const auto deadline = clock::Deadline::After(kPatience);
  while (f.sessions.size() > 1 && !deadline.Expired()) {
    f.WriteEvent(build);
  }
  CHECK(f.sessions.size() == 1);
}

TEST_CASE("limits, the experiment and draining are told in their words") {
  Fixture f;
  Watch first(f, f.owner, {});
  Watch second(f, f.owner, {});
  Watch third(f, f.owner, {});
  REQUIRE(first.Next());
  REQUIRE(second.Next());
  REQUIRE(third.Next());
  CHECK(Watch(f, f.owner, {}).Ending() == "TOO_MANY_WATCHES");
  v1::WatchAllWorkspaceBuildsRequest contradictory;
  contradictory.set_snapshot(true);
  contradictory.mutable_start_time();
  Watch refused(f, f.member, contradictory);
  CHECK_FALSE(refused.Next());
  CHECK(refused.reader->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  f.sessions.Drain();
  CHECK(first.Ending() == "DRAINING");
  CHECK(Watch(f, f.member, {}).Ending() == "DRAINING");

  Fixture off(false);
  CHECK(Watch(off, off.owner, {}).Ending() == "EXPERIMENT_DISABLED");
}

}  // namespace
}  // namespace coder::api
