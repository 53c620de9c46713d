#include <catch2/catch.hpp>

#include "libs/testing/nats_cluster.h"
#include "services/pubsub-relay/relay_fixture.h"

namespace coder::relay {
namespace {

// Verify that a stream of three copies loses nothing while each of its servers is killed in turn,
// the leader among them, and events go on.
TEST_CASE("each node of a cluster is lost and comes back, and events come once and in order") {
  Source source;
  testing::NatsCluster cluster;
  const Relay relay(source.database, cluster.url(), {.replicas = testing::NatsCluster::kNodes});
  Consumer consumer(source.database, cluster.url());
  int64_t written = 0;
  const auto commit = [&](int events) {
    source.Commit(events);
    written += events;
    consumer.Expect(written);
  };
  commit(50);
  AwaitTailAt(cluster.url(), written);
  for (int node = 0; node < testing::NatsCluster::kNodes; ++node) {
    cluster.node(node).Kill();
    commit(50);
    // With two of three the stream goes on.
    AwaitTailAt(cluster.url(), written);
    cluster.node(node).Restart();
    commit(50);
    AwaitTailAt(cluster.url(), written);
  }
  CHECK(relay.metrics.epochs_begun.Value() == 0);
  CHECK(consumer.counters().conflicts == 0);

  // Without a majority the stream stands, and the log carries on alone.
  cluster.node(0).Kill();
  cluster.node(1).Kill();
  commit(50);
  cluster.node(0).Restart();
  cluster.node(1).Restart();
  commit(50);
  AwaitTailAt(cluster.url(), written);
  CHECK(relay.metrics.epochs_begun.Value() == 0);
  CHECK(consumer.counters().conflicts == 0);
}

}  // namespace
}  // namespace coder::relay
