#include "libs/testing/nats_cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <vector>

namespace coder::testing {
namespace {

// A port nobody listens on. Servers of a cluster have to know each other's before they start;
// within a test's sandbox nobody else takes it meanwhile.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const bound = reinterpret_cast<sockaddr*>(&address);
  const bool found = bind(fd, bound, size) == 0 && getsockname(fd, bound, &size) == 0;
  close(fd);
  if (!found) throw std::runtime_error("start a cluster of nats-servers: no port is free");
  return ntohs(address.sin_port);
}

}  // namespace

NatsCluster::NatsCluster() {
  std::array<std::string, kNodes> routes;
  std::string all;
  for (std::string& route : routes) {
    route = "nats://127.0.0.1:" + std::to_string(FreePort());
    all += (all.empty() ? "" : ",") + route;
  }
  for (int i = 0; i < kNodes; ++i) {
    nodes_[i] = std::make_unique<NatsServer>(
        std::vector<std::string>{"--name", "node-" + std::to_string(i), "--cluster_name", "test",
                                 "--cluster", routes[i], "--routes", all});
  }
}

std::string NatsCluster::url() const {
  std::string all;
  for (const auto& node : nodes_) all += (all.empty() ? "" : ",") + node->url();
  return all;
}

}  // namespace coder::testing
