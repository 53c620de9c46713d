#pragma once

#include <array>
#include <memory>
#include <string>

#include "libs/testing/nats_server.h"

namespace coder::testing {

/// Three real nats-servers that keep one JetStream between them. Failures throw as NatsServer's do.
/// Not thread-safe.
class NatsCluster {
 public:
  static constexpr int kNodes = 3;

  /// Starts the servers; they agree on a leader in their own time.
  NatsCluster();

  /// Where clients connect, separated by commas.
  std::string url() const;
  /// Of 0 to kNodes - 1.
  NatsServer& node(int index) { return *nodes_[index]; }

 private:
  std::array<std::unique_ptr<NatsServer>, kNodes> nodes_;
};

}  // namespace coder::testing
