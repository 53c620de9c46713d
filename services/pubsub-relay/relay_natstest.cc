#include <catch2/catch.hpp>
#include <memory>

#include "libs/testing/nats_server.h"
#include "services/pubsub-relay/housekeeping_pass.h"
#include "services/pubsub-relay/relay_fixture.h"

namespace coder::relay {
namespace {

struct World : Source {
  testing::NatsServer nats;

  std::unique_ptr<jetstream::Connection> Connected() { return ConnectedTo(nats.url()); }
  void AwaitTail(int64_t position, int64_t epoch = 1) { AwaitTailAt(nats.url(), position, epoch); }
};

TEST_CASE("events come through once and in order, also while NATS is killed and back") {
  World world;
  Relay relay(world.database, world.nats.url());
  Consumer consumer(world.database, world.nats.url());
  world.Commit(50);
  consumer.Expect(50);
  world.nats.Kill();
  world.Commit(50);
  consumer.Expect(100);
  world.nats.Restart();
  world.Commit(50);
  consumer.Expect(150);
  world.AwaitTail(150);
}

TEST_CASE("a lost store is filled again") {
  World world;
  Relay relay(world.database, world.nats.url());
  Consumer consumer(world.database, world.nats.url());
  world.Commit(200);
  consumer.Expect(200);
  world.nats.Kill();
  world.nats.LoseStore();
  world.nats.Restart();
  world.AwaitTail(200);
  world.Commit(10);
  consumer.Expect(210);
  world.AwaitTail(210);
  CHECK(relay.metrics.epochs_begun.Value() == 0);
}

TEST_CASE("a purged, deleted or misconfigured stream is put right") {
  World world;
  Relay relay(world.database, world.nats.url());
  Consumer consumer(world.database, world.nats.url());
  world.Commit(20);
  consumer.Expect(20);
  world.AwaitTail(20);
  const auto connection = world.Connected();
  jetstream::JetstreamAdmin admin(*connection, {});
  REQUIRE_THAT(admin.Purge(admin.State()->last_sequence), IsOk());
  world.Commit(20);
  consumer.Expect(40);
  world.AwaitTail(40);
  jetstream::JetstreamAdmin wrong(*connection, {.max_bytes = 1 << 20});
  REQUIRE(*wrong.Ensure());
  {
    Relay second(world.database, world.nats.url());
    world.Commit(20);
    consumer.Expect(60);
    const clock::Deadline deadline = clock::Deadline::After(kPatience);
    while (second.metrics.repairs.Value() + relay.metrics.repairs.Value() < 2 &&
           !deadline.Expired()) {
    }
    CHECK_FALSE(*admin.Ensure());
  }
}

TEST_CASE("two relays, one of which goes, deliver once and in order") {
  World world;
  auto first = std::make_unique<Relay>(world.database, world.nats.url());
  Relay second(world.database, world.nats.url());
  Consumer consumer(world.database, world.nats.url());
  world.Commit(300);
  consumer.Expect(300);
  first.reset();
  world.Commit(100);
  consumer.Expect(400);
  first = std::make_unique<Relay>(world.database, world.nats.url());
  world.Commit(100);
  consumer.Expect(500);
  CHECK(consumer.counters().conflicts == 0);
  world.AwaitTail(500);
}

TEST_CASE("events committed while no relay runs are published by the next one") {
  World world;
  {
    Relay relay(world.database, world.nats.url());
    world.Commit(10);
    world.AwaitTail(10);
  }
  Consumer consumer(world.database, world.nats.url());
  world.Commit(30);
  Relay relay(world.database, world.nats.url());
  consumer.Expect(30);
  world.AwaitTail(40);
}

TEST_CASE("a database that went back begins an epoch, and watchers are told") {
  World world;
  auto relay = std::make_unique<Relay>(world.database, world.nats.url());
  world.Commit(20);
  world.AwaitTail(20);
  Consumer consumer(world.database, world.nats.url());
  relay.reset();
  world.SetBackToNothing();
  relay = std::make_unique<Relay>(world.database, world.nats.url());
  world.Commit(3);
  world.AwaitTail(3, 2);
  CHECK(relay->metrics.epochs_begun.Value() == 1);
  CHECK(consumer.AwaitEnding(fanout::EndingKind::kEpochChanged));
}

TEST_CASE("on a new session nothing gets a position before the stream was asked") {
  World world;
  {
    Relay relay(world.database, world.nats.url());
    world.Commit(20);
    world.AwaitTail(20);
  }
  world.nats.Kill();
  world.SetBackToNothing();
  Relay relay(world.database, world.nats.url());
  world.Commit(3);
  const clock::Deadline deadline = clock::Deadline::After(kPatience);
  // The second refusal: a whole pass lies between the two.
  while (relay.metrics.refusals.Value() < 2 && !deadline.Expired()) {
  }
  CHECK(world.Head() == 0);
  world.nats.Restart();
  world.AwaitTail(3, 2);
  CHECK(relay.metrics.epochs_begun.Value() == 1);
}

TEST_CASE("housekeeping keeps partitions ahead and measures the outbox") {
  World world;
  world.Commit(3);
  prometheus::Registry registry;
  RelayMetrics metrics(registry);
  storage::PgSequencer sequencer(
      {.conninfo = world.database.conninfo() + " options='-c role=coder_relay'"});
  HousekeepingPass pass(sequencer, metrics, {.retention = absl::ZeroDuration()});
  REQUIRE_THAT(pass.Run({}), IsOk());
  CHECK(metrics.outbox_rows.Value() == 3);
  CHECK(metrics.outbox_oldest_seconds.Value() > 0);
  CHECK(*sequencer.EnsurePartitions(4) == 0);
  CHECK(metrics.late_partitions.Value() == 0);
  world.Run("DROP TABLE build_event_packs_p2, build_event_packs_p3");
  REQUIRE_THAT(pass.Run({}), IsOk());
  CHECK(metrics.late_partitions.Value() == 1);
}

TEST_CASE("the metrics tell what the relay did") {
  World world;
  Relay relay(world.database, world.nats.url());
  world.Commit(30);
  world.AwaitTail(30);
  CHECK(relay.metrics.sequenced.Value() == 30);
  // More when the server was too slow to answer and they were sent again.
  CHECK(relay.metrics.published.Value() >= 30);
  CHECK(relay.metrics.rewinds.Value() >= 1);
  CHECK(relay.metrics.repairs.Value() == 1);
  CHECK(relay.metrics.head.Value() == 30);
  CHECK(relay.metrics.sequence_lag.Collect().histogram.sample_count > 0);
}

}  // namespace
}  // namespace coder::relay
