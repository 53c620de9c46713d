#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/clock/clock.h"
#include "libs/events/pack.h"
#include "libs/events/poker.h"
#include "libs/fanout/event_pump.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/ordered_consumer.h"
#include "libs/jetstream/poke.h"
#include "libs/server/program.h"
#include "services/coderd-api/replica_hints.h"

namespace coder::api {

/// Feeds the ring from NATS and the log, and carries pokes to the relay and hints between replicas
/// over the same connection. Connects in
/// the background for as long as it takes, and again when the connection closed for good; the log
/// is polled meanwhile.
class EventFeed final : public server::Part,
                        public events::OutboxPoker,
                        public jetstream::StreamSink {
 public:
  struct Options {
    /// Empty: the log is polled for ever.
    std::string nats_url;
    std::string stream = "BUILD_EVENTS";
    /// How often time passes for pump and hub.
    absl::Duration tick = absl::Milliseconds(100);
  };

  /// Called at every tick, by the feed's thread, with the monotonic time.
  using OnTick = std::function<void(absl::Duration)>;
  /// Called when the stream delivered a pack, once it was taken.
  using OnPack = std::function<void(const events::Pack&)>;

  /// Everything must outlive the feed. It also carries `hints`, whose listeners are complete before
  /// it starts.
  EventFeed(Options options, fanout::EventPump& pump, ReplicaHints& hints, clock::Clock& clock,
            OnTick on_tick, OnPack on_pack)
      : options_(std::move(options)),
        pump_(pump),
        hints_(hints),
        clock_(clock),
        on_tick_(std::move(on_tick)),
        on_pack_(std::move(on_pack)) {
    hints_.SetCarrier([this](const std::string& subject) { Publish(subject); });
  }

  std::string name() const override { return "event-feed"; }
  absl::Status Start() override;
  void Stop() override;

  void Poke() override;

  void OnMessage(jetstream::StreamMessage message) override;
  void OnUp() override;
  void OnDown(const absl::Status& why) override;

 private:
  void KeepTime(std::stop_token stop);
  void KeepConnected(std::stop_token stop);
  bool Connect();
  void ListenForHints();
  void Publish(const std::string& subject);

  const Options options_;
  fanout::EventPump& pump_;
  ReplicaHints& hints_;
  clock::Clock& clock_;
  const OnTick on_tick_;
  const OnPack on_pack_;
  std::mutex mutex_;
  std::shared_ptr<jetstream::Connection> connection_;  // guarded by mutex_
  std::vector<std::unique_ptr<jetstream::PokeListener>> hint_listeners_;
  std::unique_ptr<jetstream::OrderedConsumer> consumer_;
  std::jthread ticker_;
  std::jthread keeper_;
};

}  // namespace coder::api
