#include "libs/server/listener_check.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "libs/server/log.h"
#include "libs/server/options.h"

namespace coder::server {
namespace {

// The client's preface and an empty SETTINGS frame.
constexpr std::string_view kGreeting("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
                                     24 + 9);

// Waits for `events` for at most `timeout`.
bool Await(int fd, short events, absl::Duration timeout) {
  pollfd waited{fd, events, 0};
  return poll(&waited, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) == 1;
}

// A TLS client's first message: a plaintext greeting would have the server log a failed handshake
// each time.
std::string ClientHello() {
  std::string hello;
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL* const session = context != nullptr ? SSL_new(context) : nullptr;
  if (session != nullptr) {
    BIO* const sent = BIO_new(BIO_s_mem());
    // The session owns both ends.
    SSL_set_bio(session, BIO_new(BIO_s_mem()), sent);
    // Writes its first message and fails for want of an answer.
    SSL_connect(session);
    char* bytes = nullptr;
    const auto size = BIO_get_mem_data(sent, &bytes);
    hello.assign(bytes, static_cast<size_t>(size));
  }
  SSL_free(session);
  SSL_CTX_free(context);
  return hello;
}

absl::Status Greet(int fd, const addrinfo& address, std::string_view greeting,
                   absl::Duration timeout) {
  if (connect(fd, address.ai_addr, address.ai_addrlen) != 0 && errno != EINPROGRESS) {
    return absl::UnavailableError("the connection is refused");
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (!Await(fd, POLLOUT, timeout) || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
      error != 0) {
    return absl::UnavailableError("no connection");
  }
  if (send(fd, greeting.data(), greeting.size(), MSG_NOSIGNAL) < 0) {
    return absl::UnavailableError("connected, but reset");
  }
  if (!Await(fd, POLLIN, timeout)) {
    return absl::UnavailableError("connected, but nobody answers");
  }
  // A closing listener resets what it never accepted; hanging up is an answer.
  char byte = 0;
  if (recv(fd, &byte, 1, 0) < 0) return absl::UnavailableError("connected, but reset");
  return absl::OkStatus();
}

std::string ProbedHost(const std::string& listen) {
  const auto address = ParseHostPort(listen);
  if (!address.ok() || address->host.empty() || address->host == "0.0.0.0" ||
      address->host == "::") {
    return "127.0.0.1";
  }
  return address->host;
}

int OpenSpare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

absl::Status ProbeListener(const std::string& host, int port, bool tls, absl::Duration timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return absl::UnavailableError(absl::StrCat("host ", host, " is not known"));
  }
  absl::Status result = absl::UnavailableError("no descriptor is left to probe with");
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    result = Greet(fd, *found, tls ? ClientHello() : std::string(kGreeting), timeout);
    close(fd);
  }
  freeaddrinfo(found);
  return result;
}

ListenerCheck::ListenerCheck(ListenerCheckOptions options, const GrpcServerOptions& server,
                             std::function<int()> port,
                             std::function<void(const absl::Status&)> on_deaf, clock::Clock& clock,
                             prometheus::Registry& registry)
    : options_(options),
      listen_(server.listen),
      tls_(!server.tls.certificate.empty()),
      port_(std::move(port)),
      on_deaf_(std::move(on_deaf)),
      clock_(clock),
      failed_(prometheus::BuildCounter()
                  .Name("coderd_listener_check_failures_total")
                  .Help("Probes of the own listener that got no answer.")
                  .Register(registry)
                  .Add({})) {}

ListenerCheck::~ListenerCheck() { Stop(); }

absl::Status ListenerCheck::Start() {
  spare_ = OpenSpare();
  if (spare_ < 0) return absl::ErrnoToStatus(errno, "reserve a descriptor");
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  return absl::OkStatus();
}

void ListenerCheck::Drain(absl::Duration) { Stop(); }

void ListenerCheck::Stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
  if (spare_ >= 0) close(spare_);
  spare_ = -1;
}

absl::Status ListenerCheck::Probe() {
  if (spare_ >= 0) close(spare_);
  absl::Status result = ProbeListener(ProbedHost(listen_), port_(), tls_, options_.timeout);
  spare_ = OpenSpare();
  return result;
}

void ListenerCheck::Run(std::stop_token stop) {
  int failures = 0;
  while (clock_.Wait(options_.interval, stop)) {
    const absl::Status probe = Probe();
    if (probe.ok()) {
      failures = 0;
      continue;
    }
    failed_.Increment();
    log::Warn("own listener does not answer",
              {{"port", port_()}, {"failures", ++failures}, {"error", probe}});
    if (failures < options_.failures) continue;
    on_deaf_(absl::UnavailableError(absl::StrCat("probe own listener on port ", port_(), ": ",
                                                 probe.message(), ", ", failures,
                                                 " times in a row; a new process is needed")));
    return;
  }
}

}  // namespace coder::server
