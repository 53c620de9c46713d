#include "services/pubsub-relay/app.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "libs/metrics/metrics.h"
#include "libs/server/channelz_page.h"
#include "libs/server/grpc_server.h"
#include "libs/server/listener_check.h"
#include "libs/server/loop.h"
#include "libs/server/version.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "services/pubsub-relay/housekeeping_pass.h"
#include "services/pubsub-relay/relay_metrics.h"
#include "services/pubsub-relay/relay_pass.h"
#include "services/pubsub-relay/stream_part.h"

namespace coder::relay {
namespace {

constexpr char kHealthName[] = "pubsub-relay";

// An outbox that nobody empties for so long means that this process does not relay.
constexpr absl::Duration kStaleAfter = absl::Seconds(30);

// From so many events in one pass on, writers are busy, and the relay leaves the database to them
// for thrice as long as its pass took: the next pass then moves more at the same price.
constexpr int64_t kBusyEvents = 4;
constexpr absl::Duration kLongestBreak = absl::Milliseconds(20);

// An idle relay that can hear pokes looks at the outbox so often.
constexpr absl::Duration kRest = absl::Milliseconds(900);

pg::ConnectOptions ConnectOptionsOf(const Config& config) {
  return {.conninfo = config.postgres_url.Reveal(),
          .application_name = "pubsub-relay",
          .statement_timeout = absl::Seconds(10),
          .lock_timeout = absl::Seconds(5)};
}

jetstream::StreamSpec StreamSpecOf(const Config& config) {
  return {.max_bytes = config.stream_max_bytes,
          .max_age = config.stream_max_age,
          .replicas = config.stream_replicas};
}

}  // namespace

struct App::Parts {
  Parts(const Config& config, clock::Clock& clock)
      : clock(clock),
        metrics(server::Version(), server::Revision(), server::Compiler()),
        relay_metrics(metrics.registry()),
        program(config.common.program, clock),
        admin(config.admin, metrics),
        grpc(config.grpc, clock, metrics.registry()),
        listener_check(
            {}, config.grpc, [this] { return grpc.port(); },
            [this](const absl::Status& error) { program.Fail(error); }, clock, metrics.registry()),
        sequencer(ConnectOptionsOf(config)),
        housekeeping_sequencer(ConnectOptionsOf(config)),
        stream(
            {.url = config.nats_url.Reveal(), .name = "pubsub-relay"}, StreamSpecOf(config),
            [this] {
              poked = true;
              relay_loop.Wake();
            },
            clock),
        relay_pass(sequencer,
                   {.admin = stream,
                    .publisher = stream,
                    .connected = [this] { return stream.connected(); },
                    .changes = [this] { return stream.changes(); }},
                   relay_metrics, clock,
                   {.max_events = config.max_events, .ring_length = config.ring_events}),
        housekeeping_pass(
            housekeeping_sequencer, relay_metrics,
            {.retention = config.retention, .partitions_ahead = config.partitions_ahead}),
        relay_loop(
            {.name = "relay", .interval = config.poll_interval, .max_backoff = absl::Seconds(2)},
            [this](std::stop_token stop) { return RunRelay(stop); }, clock, metrics.registry()),
        housekeeping_loop(
            {.name = "housekeeping", .interval = absl::Seconds(10)},
            [this](std::stop_token stop) { return housekeeping_pass.Run(stop); }, clock,
            metrics.registry()) {}

  absl::StatusOr<server::PassOutcome> RunRelay(std::stop_token stop) {
    if (MayRest()) return server::PassOutcome::kIdle;
    const absl::Duration began = clock.MonotonicNow();
    auto outcome = relay_pass.Run(stop);
    if (!outcome.ok()) return outcome;
    const absl::Duration ended = clock.MonotonicNow();
    relayed_at = absl::ToInt64Nanoseconds(ended);
    at_rest = relay_pass.at_rest();
    if (*outcome == server::PassOutcome::kIdle && relay_pass.last_events() >= kBusyEvents) {
      clock.Wait(std::min((ended - began) * 3, kLongestBreak), stop);
    }
    return outcome;
  }

  // While NATS is there, whoever writes pokes, and looking without having been told is only for
  // hints that were lost.
  bool MayRest() {
    const bool was_poked = poked.exchange(false);
    const absl::Duration age = clock.MonotonicNow() - absl::Nanoseconds(relayed_at.load());
    return !was_poked && at_rest && stream.connected() && age < kRest;
  }

  // The numbers are those of the metrics, as of the latest pass or round of housekeeping.
  nlohmann::ordered_json Page() const {
    const auto number = [](const auto& metric) { return static_cast<int64_t>(metric.Value()); };
    const int64_t last = relayed_at.load();
    const absl::Status way = stream.Ready();
    nlohmann::ordered_json page = {{"epoch", number(relay_metrics.epoch)},
                                   {"head", number(relay_metrics.head)},
                                   {"confirmed", number(relay_metrics.confirmed)},
                                   {"log_floor", number(relay_metrics.log_floor)}};
    page["outbox"] = {{"rows", number(relay_metrics.outbox_rows)},
                      {"oldest_seconds", relay_metrics.outbox_oldest_seconds.Value()}};
    page["stream"] = {{"connected", way.ok()},
                      {"takes_events", number(relay_metrics.stream_up) == 1},
                      {"trouble", std::string(way.message())},
                      {"comparisons", number(relay_metrics.rewinds)},
                      {"refusals", number(relay_metrics.refusals)}};
    page["sequenced"] = number(relay_metrics.sequenced);
    page["published"] = number(relay_metrics.published);
    if (last != 0) {
      page["last_pass_seconds_ago"] =
          absl::ToDoubleSeconds(clock.MonotonicNow() - absl::Nanoseconds(last));
    }
    return page;
  }

  absl::Status Relaying() const {
    const absl::Duration age = clock.MonotonicNow() - absl::Nanoseconds(relayed_at.load());
    if (relayed_at != 0 && age < kStaleAfter) return absl::OkStatus();
    return absl::UnavailableError("no pass over the outbox has succeeded lately");
  }

  clock::Clock& clock;
  metrics::Metrics metrics;
  RelayMetrics relay_metrics;
  server::Program program;
  server::AdminServer admin;
  server::GrpcServer grpc;
  server::ListenerCheck listener_check;
  storage::PgSequencer sequencer;
  storage::PgSequencer housekeeping_sequencer;
  // Monotonic nanoseconds of the last good pass; 0: none yet.
  std::atomic<int64_t> relayed_at = 0;
  std::atomic<bool> poked = false;
  // After the last pass; of the relay's thread.
  bool at_rest = false;
  StreamPart stream;
  RelayPass relay_pass;
  HousekeepingPass housekeeping_pass;
  server::Loop relay_loop;
  server::Loop housekeeping_loop;
};

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
App::~App() = default;

absl::StatusOr<std::unique_ptr<App>> App::Create(const Config& config,
                                                 const server::CommandLine& line,
                                                 clock::Clock& clock) {
  auto parts = std::make_unique<Parts>(config, clock);
  Parts& p = *parts;
  p.admin.SetConfig(line.values);
  p.admin.AddReadinessCheck("relay", [&p] { return p.Relaying(); });
  p.admin.AddDebugPage("relay", "cursor, outbox and stream", [&p] { return p.Page(); });
  server::AddChannelzPage(p.admin);
  p.grpc.SetServing(kHealthName, true);
  p.grpc.OnDrain([&p] { p.admin.SetDraining(); });
  p.program.Add(p.admin);
  p.program.Add(p.grpc);
  p.program.Add(p.stream);
  p.program.Add(p.housekeeping_loop);
  p.program.Add(p.relay_loop);
  p.program.Add(p.listener_check);
  return std::unique_ptr<App>(new App(std::move(parts)));
}

int App::Run() { return parts_->program.Run(); }

}  // namespace coder::relay
