#pragma once

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>

#include "coder/api/v1/watch.grpc.pb.h"
#include "libs/auth/token.h"
#include "libs/clock/system_clock.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_credential_store.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "libs/storage/postgres/pg_workspace_snapshot.h"
#include "libs/storage/postgres/testing/event_rows.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "services/coderd-api/event_feed.h"
#include "services/coderd-api/watch_service.h"

namespace coder::api {

/// How long a test waits for what must come.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

/// The reason a stream ended for, or nothing.
inline std::string ReasonOf(const grpc::Status& status) {
  const auto reason = status::ReasonOf(server::StatusFromGrpc(status));
  return reason ? reason->reason : "";
}

/// The service on a port over a real database, whose outbox a thread sequences; no NATS.
struct WatchServiceFixture {
  /// A test that moves `fake_clock` by hand also calls Reach() for what it waits for.
  explicit WatchServiceFixture(bool enabled = true, fanout::Ring::Limits ring = {},
                               clock::Clock* fake_clock = nullptr)
      : clock(fake_clock ? *fake_clock : real_clock), hub(ring, {.watches_per_caller = 3}) {
    parts.enabled = enabled;
    world.identities.AddSession(owner, world.owner);
    world.identities.AddSession(member, world.other);
    world.identities.SetSiteRoles(world.owner, {auth::SiteRole::kOwner});
    grpc.AddService(service, WatchService::kName);
    REQUIRE_THAT(pump.Prime(), testing::IsOk());
    REQUIRE_THAT(feed.Start(), testing::IsOk());
    REQUIRE_THAT(rights.Start(), testing::IsOk());
    REQUIRE_THAT(grpc.Start(), testing::IsOk());
    // A client whose buffers do not grow, so that not reading is soon felt.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stub = v1::WatchService::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(grpc.port()), grpc::InsecureChannelCredentials(), arguments));
    relay = std::jthread([this](std::stop_token stop) { Relay(stop); });
  }
  ~WatchServiceFixture() {
    relay = std::jthread();
    sessions.Drain();
    grpc.Drain(absl::Seconds(10));
    grpc.Stop();
    rights.Drain(absl::Seconds(1));
    rights.Stop();
    feed.Stop();
  }

  void Relay(std::stop_token stop) {
    storage::PgSequencer sequencer({.conninfo = database.conninfo()});
    while (real_clock.Wait(absl::Milliseconds(5), stop)) {
      const auto session = sequencer.Session();
      if (session.ok() && !held) (void)sequencer.Sequence(*session, 1000, 0);
    }
  }

  void WriteEvent(const lifecycle::BuildId& build) { rows.CommitEventOf(build); }

  lifecycle::BuildId AddBuilt(const std::string& name, const lifecycle::UserId& user) {
    return world.AddBuild(world.AddWorkspace(name, user));
  }

  int64_t Head() { return rows.Head(); }
  void AwaitHead(int64_t head) {
    const auto deadline = clock::Deadline::After(kPatience);
    while ((Head() < head || hub.ring().bounds().head < head) && !deadline.Expired()) {
    }
    REQUIRE(hub.ring().bounds().head == head);
  }

  /// Has the ring catch up with the log once that holds everything written so far.
  void Reach(int64_t head) {
    const auto deadline = clock::Deadline::After(kPatience);
    while (Head() < head && !deadline.Expired()) {
    }
    pump.StreamUp();
    REQUIRE(hub.ring().bounds().head == head);
  }

  /// What the metric `name` shows, of the series whose first label has the value `label`.
  double Metric(const std::string& name, const std::string& label = "") {
    for (const auto& family : registry.Collect()) {
      if (family.name != name) continue;
      for (const auto& metric : family.metric) {
        if (!label.empty() && (metric.label.empty() || metric.label[0].value != label)) continue;
        if (family.type == prometheus::MetricType::Counter) return metric.counter.value;
        if (family.type == prometheus::MetricType::Gauge) return metric.gauge.value;
        return static_cast<double>(metric.histogram.sample_count);
      }
    }
    FAIL("no series " << name << " " << label);
    return 0;
  }
  /// Waits until the metric shows at least `value`.
  void AwaitMetric(const std::string& name, const std::string& label, double value) {
    const auto deadline = clock::Deadline::After(kPatience);
    while (Metric(name, label) < value && !deadline.Expired()) {
    }
    REQUIRE(Metric(name, label) >= value);
  }

  clock::SystemClock real_clock;
  clock::Clock& clock;
  storage::MigratedDatabase database{20};
  storage::SampleWorld world{database.pool()};
  storage::EventRows rows{database.pool()};
  pg::Pool pool{
      {.connect = {.conninfo = database.conninfo("coder_api"), .application_name = "test"},
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
  /// How often what runs by the clock looks; a fake one is moved in large steps.
  const absl::Duration look = &clock == &real_clock ? absl::Milliseconds(10) : absl::Seconds(2);
  fanout::EventPump pump{hub, log, {.poll_interval = look}};
  WatchSessions sessions{{.watches_per_caller = 3, .snapshots = 1}};
  WatchEncoder encoder;
  WatchMetrics metrics{registry};
  WorkQueue steps{2, 10'000};
  WorkQueue blocking{4, 10'000};
  server::Loop rights{
      {.name = "rights", .interval = std::max(look, absl::Milliseconds(100))},
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
                   if (const auto watches = sessions.Tick(now)) metrics.Show(*watches);
                   metrics.Show(hub.ring().bounds(), pump);
                 },
                 [](const events::Pack&) {}};
  WatchService service{parts};
  server::GrpcServer grpc{{.drain_delay = absl::ZeroDuration()}, real_clock, registry};
  std::unique_ptr<v1::WatchService::Stub> stub;
  std::jthread relay;
};

/// One stream and all that came over it.
struct Watch {
  Watch(WatchServiceFixture& f, const auth::NewApiKey& key,
        const v1::WatchAllWorkspaceBuildsRequest& request, absl::Duration lifetime = kPatience) {
    context.AddMetadata("authorization", "Bearer " + key.text);
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(lifetime));
    reader = f.stub->WatchAllWorkspaceBuilds(&context, request);
  }
  ~Watch() { context.TryCancel(); }

  /// Reads one response; false at the end.
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
    status = reader->Finish();
    return ReasonOf(status);
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::WatchAllWorkspaceBuildsResponse>> reader;
  v1::WatchAllWorkspaceBuildsResponse response;
  grpc::Status status;
  std::vector<v1::WatchedBuildEvent> events;
  std::vector<coder::events::v1::BuildEvent> items;
  std::string token;
  int64_t position = 0;
};

inline v1::WatchAllWorkspaceBuildsRequest From(const std::string& token) {
  v1::WatchAllWorkspaceBuildsRequest request;
  request.set_resume_token(token);
  return request;
}

inline std::string TokenOf(int64_t epoch, int64_t position, uint32_t hash) {
  return events::EncodeResumeToken({.epoch = epoch, .position = position, .event_hash = hash});
}

}  // namespace coder::api
