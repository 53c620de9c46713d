#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/ports/stream_sink.h"

namespace coder::jetstream {

// Delivers a stream's messages in order, as long as nothing is lost; says so when something may
// be. Makes a new consumer after every such doubt, for ever, until destroyed.
class OrderedConsumer {
 public:
  struct Options {
    std::string stream;
    // Where to begin: the first message at or above this sequence; 0: only new messages.
    uint64_t start_sequence = 0;
    // Without a message or heartbeat for so long the consumer is given up; at least 300 ms. The
    // server sends heartbeats three times as often.
    absl::Duration silence_limit = absl::Seconds(1);
    // Waits between attempts to make a consumer grow up to this.
    absl::Duration max_retry_wait = absl::Seconds(2);
  };

  // Starts the thread. `connection` and `sink` must outlive this.
  OrderedConsumer(Connection& connection, StreamSink& sink, Options options);
  // Stops the thread; no call to the sink is made afterwards.
  ~OrderedConsumer();

 private:
  class Session;
  void Run(std::stop_token stop);

  Connection& connection_;
  StreamSink& sink_;
  const Options options_;
  std::jthread thread_;
};

}  // namespace coder::jetstream
