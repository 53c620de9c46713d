#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace coder::testing {

/// A real nats-server with JetStream in a private directory, on a free port. Every failure to run
/// it throws std::runtime_error, which fails the test. Not thread-safe.
class NatsServer {
 public:
  /// Starts the server that CODER_TEST_NATS_SERVER names, else the distribution's, with these
  /// further arguments, and waits until it accepts connections.
  explicit NatsServer(std::vector<std::string> arguments = {});
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

  const std::vector<std::string> arguments_;
  std::string directory_;
  std::string url_;
  int port_ = -1;
  pid_t pid_ = 0;
};

}  // namespace coder::testing
