#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "libs/clock/clock.h"
#include "libs/jetstream/connection.h"
#include "libs/jetstream/jetstream_admin.h"
#include "libs/jetstream/jetstream_publisher.h"
#include "libs/jetstream/poke.h"
#include "libs/server/program.h"
#include "services/pubsub-relay/relay_pass.h"

namespace coder::relay {

// The relay's side of NATS: connects in the background for as long as it takes, again when the
// connection closed for good, and hears pokes. The stream it offers is UNAVAILABLE meanwhile.
class StreamPart final : public server::Part,
                         public jetstream::StreamAdmin,
                         public jetstream::Publisher {
 public:
  // `poked` is called from a thread of the library and must only hand over. The clock must outlive
  // the part.
  StreamPart(jetstream::Connection::Options options, jetstream::StreamSpec spec,
             std::function<void()> poked, clock::Clock& clock)
      : options_(std::move(options)),
        spec_(std::move(spec)),
        poked_(std::move(poked)),
        clock_(clock) {}

  std::string name() const override { return "nats"; }
  absl::Status Start() override;
  void Stop() override;

  // OK, or why the stream cannot be reached.
  absl::Status Ready() const;
  // As StreamLink says. Any thread.
  bool connected() const;
  int64_t changes() const;

  absl::StatusOr<bool> Ensure() override;
  absl::StatusOr<jetstream::StreamState> State() override;
  absl::StatusOr<jetstream::StreamMessage> ReadAt(uint64_t sequence) override;
  absl::StatusOr<jetstream::StreamMessage> ReadTail() override;
  absl::Status Purge(uint64_t last_sequence) override;

  void Begin(uint64_t last_sequence) override;
  absl::Status Publish(const jetstream::PackHeaders& headers, absl::string_view payload) override;
  jetstream::PublishProgress Await(absl::Duration limit) override;
  jetstream::PublishProgress progress() const override;

 private:
  // Everything made from one connection; goes in reverse order.
  struct Session {
    std::unique_ptr<jetstream::Connection> connection;
    std::unique_ptr<jetstream::JetstreamAdmin> admin;
    std::unique_ptr<jetstream::JetstreamPublisher> publisher;
    std::unique_ptr<jetstream::PokeListener> pokes;
  };

  void Keep(std::stop_token stop);
  absl::StatusOr<std::shared_ptr<Session>> Connect();
  std::shared_ptr<Session> Current() const;

  const jetstream::Connection::Options options_;
  const jetstream::StreamSpec spec_;
  const std::function<void()> poked_;
  clock::Clock& clock_;
  mutable std::mutex mutex_;
  std::shared_ptr<Session> session_;                                           // guarded by mutex_
  int64_t sessions_ = 0;                                                       // guarded by mutex_
  absl::Status trouble_ = absl::UnavailableError("NATS was not reached yet");  // as above
  std::jthread keeper_;
};

}  // namespace coder::relay
