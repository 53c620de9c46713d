#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "libs/fanout/event_pump.h"
#include "libs/fanout/watch_hub.h"
#include "services/pubsub-relay/relay_pass.h"
#include "tests/sim/bus.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"

namespace coder::sim {

/// A relay process: a session, a connection, and the pass in a loop.
class Relay {
 public:
  Relay(Host& host, Database& database, Bus& bus, relay::RelayMetrics& metrics);

  void Run();

  Process process;
  Link link;
  /// It has done nothing but wait since then: what it is to do is done.
  bool idle = false;

 private:
  Host& host_;
  Sequencer sequencer_;
  StreamOwner stream_;
  relay::RelayPass pass_;
};

/// Who watches, with rights that change.
struct Caller {
  std::string id;
  events::WatchRights rights;
  bool admitted = true;
};

/// What the stream does wrong between server and consumer, of each hundred deliveries.
struct DeliveryFaults {
  int skipped = 0;
  int repeated = 0;
  int late = 0;
};

/// An API process: an ordered consumer, the pump, the hub and its watches.
class Replica {
 public:
  struct Options {
    fanout::Ring::Limits ring;
    fanout::EventPump::Options pump;
    DeliveryFaults faults;
    // Each is off only to see what rests on it.
    bool checks_rights = true;
    bool drops = true;
    bool fills_gaps = true;
  };

  Replica(Host& host, Database& database, Bus& bus, std::map<std::string, Caller>& callers,
          Options options);

  /// What its threads do: take messages and let time pass; ask about rights.
  void Feed();
  void CheckRights();
  /// Asks about one caller. UNAVAILABLE: the database is.
  absl::StatusOr<Caller> Ask(const std::string& caller);

  bool caught_up() const;

  Process process;
  Link link;
  Log log;
  fanout::WatchHub hub;
  fanout::EventPump pump;
  Options options;

 private:
  void Consume();
  void DeliverNext();
  void Deliver(const jetstream::StreamMessage& message);

  Host& host_;
  Database& database_;
  Bus& bus_;
  std::map<std::string, Caller>& callers_;
  bool consuming_ = false;
  int64_t consumer_changes_ = 0;
  uint64_t next_sequence_ = 0;
};

/// A client that watches for ever: resumes where it can, begins anew where it is told to.
class Client {
 public:
  struct Options {
    std::string name;
    std::string caller;
    events::WatchFilter filter;
    /// The most one message takes to be read.
    absl::Duration read_time;
    size_t max_bytes = 400;
    absl::Duration bookmark_interval = absl::Seconds(2);
    /// One of so many messages is the last before the client goes away by itself.
    int64_t patience = 40;
  };

  Client(Host& host, std::vector<std::shared_ptr<Replica>>& replicas, Database& database,
         Options options)
      : host_(host), replicas_(replicas), database_(database), options_(std::move(options)) {}

  void Run();
  /// From now on it reads as fast as it is sent.
  void Hurry() { hurried_ = true; }
  const Chain& chain() const { return chain_; }
  int64_t received() const { return received_; }
  int64_t resumes() const { return resumes_; }

 private:
  void Connect(const std::shared_ptr<Replica>& replica);
  void Follow(Replica& replica, fanout::Watcher& watcher);
  /// False: the stream is over.
  bool Read(Replica& replica, fanout::Watcher& watcher, fanout::Step& step);
  bool RenewRights(Replica& replica, fanout::Watcher& watcher);
  void TakeEnding(const fanout::Ending& ending);
  void BeginAnew();

  Host& host_;
  std::vector<std::shared_ptr<Replica>>& replicas_;
  Database& database_;
  const Options options_;
  // The client's own machine, which nothing happens to.
  const Process process_;
  bool hurried_ = false;
  Chain chain_;
  std::optional<std::string> token_;
  size_t fiber_ = 0;
  bool woken_ = false;
  std::vector<Examined> examined_;
  int64_t received_ = 0;
  int64_t resumes_ = 0;
};

}  // namespace coder::sim
