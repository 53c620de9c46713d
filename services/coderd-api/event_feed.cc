#include "services/coderd-api/event_feed.h"

#include "libs/failpoint/failpoint.h"
#include "libs/server/log.h"

namespace coder::api {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);

}  // namespace

absl::Status EventFeed::Start() {
  ticker_ = std::jthread([this](std::stop_token stop) { KeepTime(stop); });
  if (!options_.nats_url.empty()) {
    keeper_ = std::jthread([this](std::stop_token stop) { KeepConnected(stop); });
  }
  return absl::OkStatus();
}

void EventFeed::Stop() {
  keeper_ = std::jthread();
  ticker_ = std::jthread();
  consumer_.reset();
  hint_listeners_.clear();
  std::lock_guard lock(mutex_);
  connection_.reset();
}

void EventFeed::KeepTime(std::stop_token stop) {
  do {
    const absl::Duration now = clock_.MonotonicNow();
    pump_.Tick(now);
    on_tick_(now);
  } while (clock_.Wait(options_.tick, stop));
}

bool EventFeed::Connect() {
  auto connection = jetstream::Connection::Connect(
      {.url = options_.nats_url, .name = "coderd-api", .echo = false});
  if (!connection.ok()) {
    log::Warn("cannot reach NATS; watches follow the log", {{"error", connection.status()}});
    return false;
  }
  std::lock_guard lock(mutex_);
  connection_ = *std::move(connection);
  return true;
}

void EventFeed::ListenForHints() {
  for (const ReplicaHints::Listener& listener : hints_.listeners()) {
    auto listening =
        jetstream::PokeListener::Listen(*connection_, listener.subject, listener.heard);
    if (!listening.ok()) {
      log::Warn("cannot hear hints of other replicas; what they tell of is found by polling",
                {{"subject", listener.subject}, {"error", listening.status()}});
      continue;
    }
    hint_listeners_.push_back(*std::move(listening));
  }
}

void EventFeed::KeepConnected(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (!Connect()) {
      clock_.Wait(kRetry, stop);
      continue;
    }
    consumer_ = std::make_unique<jetstream::OrderedConsumer>(
        *connection_, *this, jetstream::OrderedConsumer::Options{.stream = options_.stream});
    ListenForHints();
    while (!stop.stop_requested()) {
      const auto event = connection_->NextEvent(absl::Milliseconds(200));
      if (!event) continue;
      log::Info("the connection to NATS changed", {{"detail", event->detail}});
      if (event->kind == jetstream::ConnectionEvent::Kind::kClosed) break;
    }
    consumer_.reset();
    hint_listeners_.clear();
    pump_.StreamDown();
    std::lock_guard lock(mutex_);
    connection_.reset();
  }
}

void EventFeed::Poke() { Publish(jetstream::kOutboxPoke); }

void EventFeed::Publish(const std::string& subject) {
  std::shared_ptr<jetstream::Connection> connection;
  {
    std::lock_guard lock(mutex_);
    connection = connection_;
  }
  // A lost hint costs whoever waits for it its next turn and nothing else.
  if (connection) (void)jetstream::Poke(*connection, subject);
}

void EventFeed::OnMessage(jetstream::StreamMessage message) {
  if (!message.has_headers) {
    log::Warn("a message of the stream is no pack", {{"sequence", message.sequence}});
    return;
  }
  auto pack = events::Pack::Read({.epoch = message.headers.epoch,
                                  .first_position = message.headers.first_position,
                                  .last_position = message.headers.last_position,
                                  .last_event_id = message.headers.last_event_id},
                                 std::move(message.payload));
  failpoint::Hit("api.deliver_pack");
  pump_.Deliver(pack);
  on_pack_(*pack);
}

void EventFeed::OnUp() { pump_.StreamUp(); }

void EventFeed::OnDown(const absl::Status& why) {
  log::Warn("the stream of events is down; watches follow the log", {{"error", why}});
  pump_.StreamDown();
}

}  // namespace coder::api
