#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "libs/jetstream/connection.h"
#include "libs/jetstream/jetstream_admin.h"
#include "libs/jetstream/jetstream_publisher.h"
#include "libs/jetstream/ordered_consumer.h"
#include "libs/jetstream/poke.h"
#include "libs/jetstream/ports/stream_contract.h"
#include "libs/testing/nats_server.h"

namespace coder::jetstream {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

std::unique_ptr<Connection> Connected(const testing::NatsServer& server) {
  auto connection = Connection::Connect({.url = server.url(),
                                         .name = "test",
                                         .reconnect_wait = absl::Milliseconds(20),
                                         .reconnect_jitter = absl::Milliseconds(10)});
  INFO(connection.status());
  REQUIRE(connection.ok());
  return *std::move(connection);
}

std::unique_ptr<JetstreamPublisher> PublisherOn(Connection& connection) {
  auto publisher = JetstreamPublisher::Create(
      connection, {.max_in_flight = 64, .answer_limit = absl::Seconds(2)});
  REQUIRE(publisher.ok());
  return *std::move(publisher);
}

PackHeaders Headers(int64_t first) {
  return {.epoch = 3, .first_position = first, .last_position = first + 1, .last_event_id = 77};
}

absl::Status PublishRange(Publisher& publisher, int64_t from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = from + 2 * i;
    absl::Status status = publisher.Publish(Headers(first), "payload-" + std::to_string(first));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

bool AwaitKind(Connection& connection, ConnectionEvent::Kind kind) {
  while (const auto event = connection.NextEvent(kPatience)) {
    if (event->kind == kind) return true;
  }
  return false;
}

// Keeps what a consumer delivers.
class Sink : public StreamSink {
 public:
  void OnMessage(StreamMessage message) override {
    std::lock_guard lock(mu_);
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }
  void OnUp() override { Count(ups_); }
  void OnDown(const absl::Status&) override { Count(downs_); }

  std::optional<StreamMessage> Next() {
    std::unique_lock lock(mu_);
    if (!changed_.wait_for(lock, absl::ToChronoSeconds(kPatience),
                           [this] { return !messages_.empty(); })) {
      return std::nullopt;
    }
    StreamMessage message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }
  bool AwaitUps(int ups) { return AwaitCount(ups_, ups); }
  bool AwaitDowns(int downs) { return AwaitCount(downs_, downs); }

 private:
  void Count(int& counter) {
    std::lock_guard lock(mu_);
    ++counter;
    changed_.notify_all();
  }
  bool AwaitCount(const int& counter, int wanted) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience),
                             [&] { return counter >= wanted; });
  }

  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<StreamMessage> messages_;
  int ups_ = 0;
  int downs_ = 0;
};

TEST_CASE("a connection that cannot be made says why") {
  const auto refused = Connection::Connect({.url = "nats://127.0.0.1:1", .name = "test"});
  CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("of several servers any will do, and the credentials in an address are not told") {
  testing::NatsServer server;
  const std::string nobody = "nats://user:secret@127.0.0.1:1";
  CHECK(Connection::Connect({.url = nobody + ", " + server.url(), .name = "test"}).ok());
  const auto refused = Connection::Connect({.url = nobody + ",127.0.0.1:2", .name = "test"});
  CHECK(refused.status().message() ==
        "connect to nats at nats://127.0.0.1:1,127.0.0.1:2: No server available for connection");
}

TEST_CASE("a stream is made once, repaired when it differs, and read and purged") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  CHECK(admin.State().status().code() == absl::StatusCode::kNotFound);
  const auto made = admin.Ensure();
  INFO(made.status());
  REQUIRE(made.ok());
  CHECK(*made);
  CHECK_FALSE(*admin.Ensure());
  JetstreamAdmin smaller(*connection, {.max_bytes = 1 << 20, .max_age = absl::Hours(1)});
  const auto repaired = smaller.Ensure();
  INFO(repaired.status());
  REQUIRE(repaired.ok());
  CHECK(*repaired);
  CHECK_FALSE(*smaller.Ensure());

  CHECK(admin.State()->empty());
  CHECK(admin.ReadTail().status().code() == absl::StatusCode::kNotFound);
  const auto publisher = PublisherOn(*connection);
  publisher->Begin(0);
  REQUIRE(PublishRange(*publisher, 1, 3).ok());
  CHECK(publisher->Await(kPatience).confirmed_sequence == 3);
  const auto tail = admin.ReadTail();
  REQUIRE(tail.ok());
  CHECK(tail->sequence == 3);
  CHECK(tail->has_headers);
  CHECK(tail->headers == Headers(5));
  CHECK(tail->payload == "payload-5");
  REQUIRE(admin.Purge(3).ok());
  CHECK(admin.State()->empty());
  CHECK(admin.State()->last_sequence == 3);
}

TEST_CASE("the stream of a server keeps the contract of a stream") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  const auto publisher = PublisherOn(*connection);
  CheckStreamContract(admin, *publisher);
}

TEST_CASE("packs are confirmed in order, many in flight") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  REQUIRE(admin.Ensure().ok());
  const auto publisher = PublisherOn(*connection);
  publisher->Begin(0);
  REQUIRE(PublishRange(*publisher, 1, 1000).ok());
  const PublishProgress progress = publisher->Await(kPatience);
  CHECK(progress.refusal.ok());
  CHECK(progress.in_flight == 0);
  CHECK(progress.confirmed_sequence == 1000);
  CHECK(progress.confirmed_position == 2000);
}

TEST_CASE("a run ends at the first refusal, also when an empty stream was expected") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  REQUIRE(admin.Ensure().ok());
  const auto one = PublisherOn(*connection);
  const auto other = PublisherOn(*connection);
  one->Begin(0);
  REQUIRE(PublishRange(*one, 1, 5).ok());
  REQUIRE(one->Await(kPatience).confirmed_sequence == 5);

  other->Begin(0);
  (void)PublishRange(*other, 1, 5);
  CHECK(other->Await(kPatience).refusal.code() == absl::StatusCode::kAborted);
  CHECK(other->Publish(Headers(1), "x").code() == absl::StatusCode::kAborted);
  CHECK(admin.State()->last_sequence == 5);

  other->Begin(5);
  REQUIRE(PublishRange(*other, 11, 1).ok());
  CHECK(other->Await(kPatience).confirmed_sequence == 6);
}

TEST_CASE("publishing while the server is down is refused and nothing is sent later") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  REQUIRE(admin.Ensure().ok());
  const auto publisher = PublisherOn(*connection);
  server.Kill();
  REQUIRE(AwaitKind(*connection, ConnectionEvent::Kind::kDisconnected));
  publisher->Begin(0);
  (void)PublishRange(*publisher, 1, 3);
  CHECK(publisher->Await(kPatience).refusal.code() == absl::StatusCode::kUnavailable);
  server.Restart();
  REQUIRE(AwaitKind(*connection, ConnectionEvent::Kind::kReconnected));
  CHECK(admin.State()->last_sequence == 0);
}

TEST_CASE("a consumer delivers from its start and goes on with what comes") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  REQUIRE(admin.Ensure().ok());
  const auto publisher = PublisherOn(*connection);
  publisher->Begin(0);
  REQUIRE(PublishRange(*publisher, 1, 500).ok());
  REQUIRE(publisher->Await(kPatience).in_flight == 0);
  Sink sink;
  OrderedConsumer consumer(*connection, sink, {.stream = "BUILD_EVENTS", .start_sequence = 101});
  REQUIRE(sink.AwaitUps(1));
  REQUIRE(PublishRange(*publisher, 1001, 500).ok());
  for (uint64_t sequence = 101; sequence <= 1000; ++sequence) {
    const auto message = sink.Next();
    REQUIRE(message.has_value());
    REQUIRE(message->sequence == sequence);
    REQUIRE(message->headers == Headers(static_cast<int64_t>(sequence) * 2 - 1));
  }
}

TEST_CASE("a consumer says so when the server was away, and delivers again") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  JetstreamAdmin admin(*connection, {});
  REQUIRE(admin.Ensure().ok());
  const auto publisher = PublisherOn(*connection);
  publisher->Begin(0);
  Sink sink;
  OrderedConsumer consumer(*connection, sink,
                           {.stream = "BUILD_EVENTS", .max_retry_wait = absl::Milliseconds(100)});
  REQUIRE(sink.AwaitUps(1));
  REQUIRE(PublishRange(*publisher, 1, 3).ok());
  for (int i = 0; i < 3; ++i) REQUIRE(sink.Next().has_value());
  server.Kill();
  REQUIRE(sink.AwaitDowns(1));

  SECTION("with its store") {
    server.Restart();
    REQUIRE(sink.AwaitUps(2));
    publisher->Begin(admin.State()->last_sequence);
    REQUIRE(PublishRange(*publisher, 7, 1).ok());
    CHECK(sink.Next()->headers.first_position == 7);
  }
  SECTION("without it: the new stream is followed from its beginning") {
    server.LoseStore();
    server.Restart();
    REQUIRE(AwaitKind(*connection, ConnectionEvent::Kind::kReconnected));
    REQUIRE(admin.Ensure().ok());
    REQUIRE(sink.AwaitUps(2));
    publisher->Begin(0);
    REQUIRE(PublishRange(*publisher, 7, 1).ok());
    const auto message = sink.Next();
    REQUIRE(message.has_value());
    CHECK(message->sequence == 1);
    CHECK(message->headers.first_position == 7);
  }
}

TEST_CASE("a poke is heard") {
  testing::NatsServer server;
  const auto connection = Connected(server);
  std::mutex mu;
  std::condition_variable changed;
  int heard = 0;
  auto listener = PokeListener::Listen(*connection, kOutboxPoke, [&] {
    std::lock_guard lock(mu);
    ++heard;
    changed.notify_all();
  });
  REQUIRE(listener.ok());
  const auto other = Connected(server);
  REQUIRE(Poke(*other, kOutboxPoke).ok());
  std::unique_lock lock(mu);
  CHECK(changed.wait_for(lock, absl::ToChronoSeconds(kPatience), [&] { return heard == 1; }));
}

}  // namespace
}  // namespace coder::jetstream
