#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "libs/jetstream/ports/publisher.h"
#include "libs/jetstream/ports/stream_admin.h"
#include "tests/sim/database.h"

namespace coder::sim {

/// The stream's server: enforces expected sequences, and loses tails, whole streams and answers.
class Bus {
 public:
  explicit Bus(Host& host) : host_(host) {}

  /// NOT_FOUND, ABORTED or RESOURCE_EXHAUSTED, as a server refuses; otherwise the sequence.
  absl::StatusOr<uint64_t> Store(uint64_t expected, const jetstream::PackHeaders& headers,
                                 const std::string& payload);
  void LoseTail(int64_t messages);
  void Delete();
  /// Removes the messages up to `last`.
  void Purge(uint64_t last);
  /// A message that is no pack.
  void AddPoison();

  bool up() const { return host_.now() >= down_until; }
  /// The first message at or above `sequence`; null when there is none.
  const jetstream::StreamMessage* From(uint64_t sequence) const;

  std::deque<jetstream::StreamMessage> stored;
  uint64_t last_sequence = 0;
  bool exists = false;
  bool well_configured = true;
  absl::Duration down_until;
  absl::Duration full_until;
  /// Whether a publisher's expectation is enforced, and whether its owner can read which history
  /// it holds; off only to see what rests on it.
  bool fence = true;
  bool tells_history = true;
  /// Messages stored behind one of the same epoch with higher positions.
  int64_t doubled = 0;

 private:
  Host& host_;
};

/// One process's connection to the bus.
struct Link {
  absl::Duration cut_until;
  int64_t changes = 1;
  bool up(const Bus& bus, absl::Duration now) const { return bus.up() && now >= cut_until; }
};

/// One relay's view of the stream. Messages are under way for a while; when the connection is lost
/// some of them arrive and none is answered.
class StreamOwner : public jetstream::StreamAdmin, public jetstream::Publisher {
 public:
  StreamOwner(Host& host, Bus& bus, const Process& process, Link& link)
      : host_(host), bus_(bus), process_(process), link_(link) {}

  absl::StatusOr<bool> Ensure() override;
  absl::StatusOr<jetstream::StreamState> State() override;
  absl::StatusOr<jetstream::StreamMessage> ReadAt(uint64_t sequence) override;
  absl::StatusOr<jetstream::StreamMessage> ReadTail() override {
    return ReadAt(bus_.last_sequence);
  }
  absl::Status Purge(uint64_t last) override;

  void Begin(uint64_t last_sequence) override;
  absl::Status Publish(const jetstream::PackHeaders& headers, absl::string_view payload) override;
  jetstream::PublishProgress Await(absl::Duration limit) override;
  jetstream::PublishProgress progress() const override { return progress_; }

  /// Lets some of what is under way arrive; a killed relay's messages still may.
  void Arrive();

 private:
  struct Sent {
    int64_t run = 0;
    uint64_t expected = 0;
    jetstream::PackHeaders headers;
    std::string payload;
  };

  absl::Status Call();

  Host& host_;
  Bus& bus_;
  const Process& process_;
  Link& link_;
  int64_t run_ = 0;
  uint64_t expected_ = 0;
  std::deque<Sent> under_way_;
  jetstream::PublishProgress progress_;
};

}  // namespace coder::sim
