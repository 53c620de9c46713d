#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct __natsConnection;
struct __jsCtx;

namespace coder::jetstream {

// Something that happened to a connection.
struct ConnectionEvent {
  enum class Kind { kConnected, kDisconnected, kReconnected, kClosed, kError };
  Kind kind = Kind::kError;
  // The server's or the library's words; for the log only.
  std::string detail;
};

// One connection to NATS. Once made it reconnects for ever; nothing is buffered while it is down.
// Thread-safe.
class Connection {
 public:
  struct Options {
    // One or more server addresses, separated by commas.
    std::string url;
    // The service's name, as the server's operator sees it.
    std::string name;
    // Both empty: no credentials.
    std::string user;
    std::string password;
    // Sends every message at once instead of within a millisecond. For publishers that wait.
    bool send_asap = true;
    // Whether what is published here also reaches the listeners of this same connection.
    bool echo = true;
    absl::Duration connect_timeout = absl::Seconds(2);
    absl::Duration reconnect_wait = absl::Milliseconds(250);
    // Added to the wait, up to this, by chance.
    absl::Duration reconnect_jitter = absl::Milliseconds(500);
  };

  // UNAVAILABLE: no server answers. PERMISSION_DENIED: the credentials are refused.
  // INVALID_ARGUMENT: the address cannot be read.
  static absl::StatusOr<std::unique_ptr<Connection>> Connect(const Options& options);

  // Closes the connection. Everything made from it must be gone.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connected() const;
  // How often the connection was lost or made again: another number means that what was expected
  // of it is in doubt.
  int64_t changes() const { return changes_; }

  // The oldest event not yet taken; waits up to `limit` for one. The queue keeps the last 256.
  std::optional<ConnectionEvent> NextEvent(absl::Duration limit);

  // For this package only.
  __natsConnection* nats() const { return nats_; }
  __jsCtx* js() const { return js_; }
  void Record(ConnectionEvent event);

 private:
  Connection() = default;

  __natsConnection* nats_ = nullptr;
  __jsCtx* js_ = nullptr;
  std::atomic<int64_t> changes_ = 0;
  std::mutex mu_;
  std::condition_variable arrived_;
  std::deque<ConnectionEvent> events_;
  bool closed_ = false;
};

}  // namespace coder::jetstream
