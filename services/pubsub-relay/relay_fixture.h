#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/events/pack.h"
#include "libs/fanout/event_pump.h"
#include "libs/fanout/fake_log.h"
#include "libs/jetstream/ordered_consumer.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "libs/storage/postgres/testing/event_rows.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/testing/matchers.h"
#include "services/pubsub-relay/relay_pass.h"
#include "services/pubsub-relay/stream_part.h"

namespace coder::relay {

using ::coder::testing::IsOk;

inline constexpr absl::Duration kPatience = absl::Seconds(60);

inline jetstream::Connection::Options ConnectionTo(const std::string& url) {
  return {.url = url,
          .name = "test",
          .reconnect_wait = absl::Milliseconds(20),
          .reconnect_jitter = absl::Milliseconds(10)};
}

// Connected to one of the servers at `url`, which may be about to start.
inline std::unique_ptr<jetstream::Connection> ConnectedTo(const std::string& url) {
  const clock::Deadline deadline = clock::Deadline::After(kPatience);
  for (;;) {
    auto connection = jetstream::Connection::Connect(ConnectionTo(url));
    if (!connection.ok() && !deadline.Expired()) continue;
    REQUIRE_THAT(connection, IsOk());
    return *std::move(connection);
  }
}

// One relay process: its own session, connection and loop.
class Relay {
 public:
  Relay(const storage::MigratedDatabase& database, const std::string& nats_url,
        jetstream::StreamSpec spec = {})
      : sequencer_({.conninfo = database.conninfo() + " options='-c role=coder_relay'",
                    .lock_timeout = absl::Seconds(10)}),
        stream_(
            ConnectionTo(nats_url), std::move(spec), [this] { loop_.Wake(); }, clock_),
        pass_(sequencer_,
              {.admin = stream_,
               .publisher = stream_,
               .connected = [this] { return stream_.connected(); },
               .changes = [this] { return stream_.changes(); }},
              metrics, clock_, {.max_events = 100, .retry_wait = absl::Milliseconds(50)}),
        loop_(
            {.name = "relay", .interval = absl::Milliseconds(20)},
            [this](std::stop_token stop) { return pass_.Run(stop); }, clock_, registry_) {
    REQUIRE(stream_.Start().ok());
    REQUIRE(loop_.Start().ok());
  }
  ~Relay() {
    loop_.Drain(kPatience);
    loop_.Stop();
    stream_.Stop();
  }

 private:
  prometheus::Registry registry_;

 public:
  RelayMetrics metrics{registry_};

 private:
  clock::SystemClock clock_;
  storage::PgSequencer sequencer_;
  StreamPart stream_;
  RelayPass pass_;
  server::Loop loop_;
};

// A plain consumer: the stream into the ring, with the log behind it, and one watch of everything.
class Consumer : public jetstream::StreamSink {
 public:
  Consumer(storage::MigratedDatabase& database, const std::string& nats_url)
      : log_(database.pool()) {
    REQUIRE_THAT(pump_.Prime(), IsOk());
    auto rights = std::make_shared<events::WatchRights>();
    rights->everything = true;
    auto opened = hub_.Open({.caller_id = "c",
                             .rights = rights,
                             .max_rights_age = absl::InfiniteDuration(),
                             .wake = [] {}},
                            std::nullopt, log_, absl::ZeroDuration());
    REQUIRE(std::holds_alternative<std::shared_ptr<fanout::Watcher>>(opened));
    watcher_ = std::get<std::shared_ptr<fanout::Watcher>>(opened);
    connection_ = ConnectedTo(nats_url);
    consumer_ = std::make_unique<jetstream::OrderedConsumer>(
        *connection_, *this,
        jetstream::OrderedConsumer::Options{.stream = "BUILD_EVENTS",
                                            .silence_limit = absl::Milliseconds(300),
                                            .max_retry_wait = absl::Milliseconds(100)});
  }
  ~Consumer() override {
    consumer_.reset();
    hub_.Close(watcher_);
  }

  void OnMessage(jetstream::StreamMessage message) override {
    if (!message.has_headers) return;
    pump_.Deliver(events::Pack::Read({.epoch = message.headers.epoch,
                                      .first_position = message.headers.first_position,
                                      .last_position = message.headers.last_position,
                                      .last_event_id = message.headers.last_event_id},
                                     std::move(message.payload)));
  }
  void OnUp() override { pump_.StreamUp(); }
  void OnDown(const absl::Status&) override { pump_.StreamDown(); }

  // Reads until `count` events were seen in all; checks that versions rise by one.
  void Expect(int64_t count) {
    const clock::Deadline deadline = clock::Deadline::After(kPatience);
    while (seen_ < count && !deadline.Expired() && !ending_) {
      pump_.Tick(clock_.MonotonicNow());
      fanout::Step step = watcher_->Next(absl::ZeroDuration(), 1 << 20);
      if (step.kind == fanout::Step::Kind::kEnd) ending_ = step.ending.kind;
      if (step.kind == fanout::Step::Kind::kReadLog) REQUIRE_THAT(watcher_->ReadLog(log_), IsOk());
      for (const fanout::Run& run : step.runs) Take(run);
      watcher_->WriteDone();
    }
    CHECK(seen_ == count);
    CHECK(out_of_order_ == 0);
  }

  bool AwaitEnding(fanout::EndingKind kind) {
    const clock::Deadline deadline = clock::Deadline::After(kPatience);
    while (!ending_ && !deadline.Expired()) {
      pump_.Tick(clock_.MonotonicNow());
      fanout::Step step = watcher_->Next(absl::ZeroDuration(), 1 << 20);
      if (step.kind == fanout::Step::Kind::kEnd) ending_ = step.ending.kind;
      watcher_->WriteDone();
    }
    return ending_ == kind;
  }

  fanout::EventPump::Counters counters() const { return pump_.counters(); }

 private:
  void Take(const fanout::Run& run) {
    for (const events::EventSlice& event : run.pack->events()) {
      const bool in_run = event.framed.data() >= run.bytes.data() &&
                          event.framed.data() < run.bytes.data() + run.bytes.size();
      if (!in_run) continue;
      ++seen_;
      const int64_t version = event.keys.workspace_version;
      const auto [last, first_seen] =
          versions_.try_emplace(std::string(event.keys.workspace_id), version);
      if (!first_seen && version != last->second + 1) ++out_of_order_;
      last->second = version;
    }
  }

  clock::SystemClock clock_;
  storage::PgEventLog log_;
  fanout::WatchHub hub_{{}, {}};
  fanout::EventPump pump_{
      hub_,
      log_,
      {.poll_interval = absl::Milliseconds(20), .check_interval = absl::Milliseconds(500)}};
  std::shared_ptr<fanout::Watcher> watcher_;
  std::unique_ptr<jetstream::Connection> connection_;
  std::unique_ptr<jetstream::OrderedConsumer> consumer_;
  std::map<std::string, int64_t> versions_;
  int64_t seen_ = 0;
  int64_t out_of_order_ = 0;
  std::optional<fanout::EndingKind> ending_;
};

// The database that relays share, and the events in it.
struct Source {
  storage::MigratedDatabase database;
  storage::EventRows rows{database.pool()};
  std::map<int, int64_t> versions;

  pg::Result Run(const std::string& sql, std::vector<pg::Param> params = {}) {
    auto result =
        database.pool().Execute(sql, std::move(params), clock::Deadline::After(kPatience));
    if (!result.ok()) throw std::runtime_error(result.status().ToString());
    return *std::move(result);
  }
  void Commit(int events) {
    for (int i = 0; i < events; ++i) {
      const int workspace = i % 3;
      const int64_t version = ++versions[workspace];
      std::string framed;
      events::AppendFramed(
          fanout::EventBytes("org", "owner", "ws-" + std::to_string(workspace), version), framed);
      rows.Commit(version, framed);
    }
  }
  void SetBackToNothing() { rows.SetBackToNothing(); }
  int64_t Head() { return rows.Head(); }
  void AwaitHead(int64_t head) {
    const clock::Deadline deadline = clock::Deadline::After(kPatience);
    while (Head() < head && !deadline.Expired()) {
    }
    REQUIRE(Head() == head);
  }
};

// Waits until the tail of the stream at `nats_url` is the pack that ends at `position`, of `epoch`
// or a later one.
inline void AwaitTailAt(const std::string& nats_url, int64_t position, int64_t epoch = 1) {
  const auto connection = ConnectedTo(nats_url);
  jetstream::JetstreamAdmin admin(*connection, {});
  const clock::Deadline deadline = clock::Deadline::After(kPatience);
  for (;;) {
    const auto tail = admin.ReadTail();
    const bool there =
        tail.ok() && tail->headers.last_position == position && tail->headers.epoch >= epoch;
    if (there || deadline.Expired()) {
      INFO(tail.status());
      REQUIRE(there);
      return;
    }
  }
}

}  // namespace coder::relay
