#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "libs/server/loop.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_workspace_snapshot.h"
#include "services/coderd-api/debug_pages.h"
#include "services/coderd-api/event_feed.h"
#include "services/coderd-api/experiments.h"
#include "services/coderd-api/watch_service.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {
namespace {

// The limit on memory where events are large.
constexpr size_t kRingBytes = size_t{256} << 20;

// A watch ends itself before gRPC ends its connection, whose age gRPC spreads by a tenth.
absl::Duration MaxWatchAge(const Config& config) { return config.grpc.max_connection_age * 0.8; }

}  // namespace

void WireWatch(Wiring& wiring) {
  const Config& config = wiring->config;
  auto& metrics = wiring.Make<WatchMetrics>(wiring->metrics.registry());
  auto& log = wiring.Make<storage::PgEventLog>(wiring->pool);
  auto& states = wiring.Make<storage::PgWorkspaceSnapshot>(wiring->pool);
  auto& hub = wiring.Make<fanout::WatchHub>(
      fanout::Ring::Limits{.events = config.ring_events, .bytes = kRingBytes},
      fanout::WatchHub::Limits{
          .watches = static_cast<size_t>(config.max_watches),
          .watches_per_caller = static_cast<size_t>(config.max_watches_per_caller)});
  auto& pump = wiring.Make<fanout::EventPump>(
      hub, log, fanout::EventPump::Options{.prime_events = config.ring_events});
  auto& sessions = wiring.Make<WatchSessions>(
      WatchSessions::Limits{.watches = config.max_watches,
                            .watches_per_caller = config.max_watches_per_caller,
                            .snapshots = config.max_snapshots});
  auto& encoder = wiring.Make<WatchEncoder>();
  auto& steps = wiring.Make<WorkQueue>(2, size_t{1} << 20);
  auto& blocking = wiring.Make<WorkQueue>(4, size_t{1} << 16);
  Authenticator& authenticator = wiring->gate.authenticator();
  clock::Clock& clock = wiring->clock;
  auto& rights_loop = wiring.Run<server::Loop>(
      server::LoopOptions{
          .name = "watch-rights", .interval = absl::Seconds(2), .max_backoff = absl::Seconds(2)},
      [&sessions, &authenticator, &clock](std::stop_token) {
        return sessions.CheckRights(authenticator, clock);
      },
      clock, wiring->metrics.registry());
  wiring.hints().Hear(kRightsHint, [&rights_loop] { rights_loop.Wake(); });
  wiring->gate.OnRightsChanged([&rights_loop, &hints = wiring.hints()] {
    rights_loop.Wake();
    hints.Send(kRightsHint);
  });
  const bool enabled = std::find(config.experiments.begin(), config.experiments.end(),
                                 kWorkspaceBuildUpdates) != config.experiments.end();
  auto& parts = wiring.Make<WatchParts>(
      WatchParts{.gate = wiring->gate,
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
                 .check_rights = [&rights_loop] { rights_loop.Wake(); },
                 .enabled = enabled,
                 .max_age = MaxWatchAge(config),
                 .max_batch_bytes = static_cast<size_t>(config.watch_batch_bytes)});
  wiring->admin.AddDebugPage("events", "the ring of events in memory and what feeds it",
                             [&hub, &pump] { return EventsPage(hub.ring(), pump); });
  wiring->admin.AddDebugPage("watches", "open watches by state, and those furthest behind",
                             [&hub, &sessions, &clock] {
                               return WatchesPage(sessions.View(clock.MonotonicNow()),
                                                  sessions.limits(), hub.ring().bounds().head);
                             });
  server::GrpcServer& grpc = wiring->grpc;
  auto& feed = wiring.Run<EventFeed>(
      EventFeed::Options{.nats_url = config.nats_url.Reveal()}, pump, wiring.hints(), clock,
      [&hub, &pump, &sessions, &metrics, &grpc, serving = false](absl::Duration now) mutable {
        hub.Tick(now);
        if (const auto watches = sessions.Tick(now)) metrics.Show(*watches);
        metrics.Show(hub.ring().bounds(), pump);
        if (pump.primed() != serving) grpc.SetServing(WatchService::kName, serving = !serving);
      },
      [&metrics, &clock](const events::Pack& pack) {
        metrics.ObserveArrival(pack.events().back().time_us, clock.Now());
      });
  wiring.Serve<WatchService>(WatchService::kName, parts);
  grpc.SetServing(WatchService::kName, false);
  grpc.OnDrain([&sessions] { sessions.Drain(); });
  wiring.SetPoker(feed);
}

}  // namespace coder::api
