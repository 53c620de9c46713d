#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/clock/system_clock.h"
#include "libs/metrics/metrics.h"
#include "libs/server/grpc_server.h"

namespace coder::server {
namespace {

constexpr uint8_t kPing = 6;
constexpr uint8_t kAck = 1;

// A client that says what HTTP/2 asks of a beginning and then nothing more.
class SilentClient {
 public:
  explicit SilentClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    REQUIRE(setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    // The preface, an empty SETTINGS frame and the acknowledgement of the server's.
    Send({"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24});
    Send({"\0\0\0\x04\0\0\0\0\0", 9});
    Send({"\0\0\0\x04\x01\0\0\0\0", 9});
  }
  ~SilentClient() { close(fd_); }
  SilentClient(const SilentClient&) = delete;
  SilentClient& operator=(const SilentClient&) = delete;

  // How many pings came before the server hung up; -1 when it did not.
  int PingsUntilHangUp() {
    int pings = 0;
    for (;;) {
      std::string frame;
      if (!Receive(9, frame)) return hung_up_ ? pings : -1;
      const auto byte = [&frame](int i) { return static_cast<uint8_t>(frame[i]); };
      const int length = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (byte(3) == kPing && (byte(4) & kAck) == 0) ++pings;
      std::string payload;
      if (!Receive(length, payload)) return hung_up_ ? pings : -1;
    }
  }

 private:
  void Send(std::string_view bytes) {
    REQUIRE(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }

  bool Receive(size_t size, std::string& bytes) {
    while (bytes.size() < size) {
      char buffer[1024];
      const ssize_t got = recv(fd_, buffer, std::min(sizeof(buffer), size - bytes.size()), 0);
      hung_up_ = got == 0 || (got < 0 && errno == ECONNRESET);
      if (got <= 0) return false;
      bytes.append(buffer, got);
    }
    return true;
  }

  const int fd_;
  bool hung_up_ = false;
};

TEST_CASE("a client that does not answer a ping is hung up on") {
  clock::SystemClock clock;
  metrics::Metrics metrics("v", "r", "c");
  GrpcServer server({.keepalive_time = absl::Milliseconds(300),
                     .keepalive_timeout = absl::Milliseconds(300),
                     .drain_delay = absl::ZeroDuration()},
                    clock, metrics.registry());
  REQUIRE(server.Start().ok());
  SilentClient client(server.port());
  CHECK(client.PingsUntilHangUp() >= 1);
  server.Drain(absl::ZeroDuration());
  server.Stop();
}

}  // namespace
}  // namespace coder::server
