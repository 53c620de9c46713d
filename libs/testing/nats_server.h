#pragma once

#include <sys/types.h>

#include <string>

namespace coder::testing {

/// A real nats-server with JetStream in a private directory, on a free port. Every failure to run
/// it throws std::runtime_error, which fails the test. Not thread-safe.
class NatsServer {
 public:
  /// Starts the server and waits until it accepts connections.
  NatsServer();
  /// Kills the server and removes its directory.
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  /// Where clients connect; the same after a restart.
  const std::string& url() const { return url_; }

  /// Ends the server without a chance to finish anything.
  void Kill();
  /// Starts a killed server again, on its port and with what its directory holds.
  void Restart();
  /// Forgets everything the killed server had stored.
  void LoseStore();

 private:
  void Run();
  bool ReadPort();

  std::string directory_;
  std::string url_;
  int port_ = -1;
  pid_t pid_ = 0;
};

}  // namespace coder::testing
