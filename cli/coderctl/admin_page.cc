#include "cli/coderctl/admin_page.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/server/options.h"

namespace coder::cli {
namespace {

constexpr size_t kMostBytes = size_t{16} << 20;

absl::Status NotReached(const std::string& base, const std::string& why) {
  return absl::UnavailableError(absl::StrCat("ask the admin port at ", base, ": ", why,
                                             "; check the address (--admin-listen) and the way"));
}

/// A TCP connection whose reads and writes give up after a time.
class Connection {
 public:
  ~Connection() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// The empty text, or why not.
  std::string Open(const server::HostAndPort& address, absl::Duration timeout) {
    const addrinfo hints{.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (error != 0) return ::gai_strerror(error);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
    const timeval limit = absl::ToTimeval(timeout);
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
      if (descriptor_ >= 0) ::close(descriptor_);
      descriptor_ = ::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
      ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
      ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
      if (::connect(descriptor_, each->ai_addr, each->ai_addrlen) == 0) return "";
    }
    return std::strerror(errno);
  }

  std::string Exchange(const std::string& request, std::string& answer) {
    if (::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
      return std::strerror(errno);
    }
    char chunk[16384];
    while (answer.size() < kMostBytes) {
      const ssize_t got = ::recv(descriptor_, chunk, sizeof(chunk), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::strerror(errno);
      if (got == 0) return "";
      answer.append(chunk, static_cast<size_t>(got));
    }
    return "the answer is over 16 MiB";
  }

 private:
  int descriptor_ = -1;
};

}  // namespace

absl::StatusOr<AdminPage> FetchAdminPage(const std::string& base, const std::string& path,
                                         absl::Duration timeout) {
  absl::string_view rest = base;
  absl::ConsumePrefix(&rest, "http://");
  absl::ConsumeSuffix(&rest, "/");
  const auto address = server::ParseHostPort(std::string(rest));
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ask the admin port at '", base, "': ", address.status().message()));
  }
  Connection connection;
  std::string trouble = connection.Open(*address, timeout);
  if (!trouble.empty()) return NotReached(base, trouble);
  std::string answer;
  trouble = connection.Exchange(
      absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", rest, "\r\nConnection: close\r\n\r\n"),
      answer);
  if (!trouble.empty()) return NotReached(base, trouble);
  const size_t head = answer.find("\r\n\r\n");
  AdminPage page;
  if (!answer.starts_with("HTTP/1.") || head == std::string::npos || answer.size() < 12 ||
      !absl::SimpleAtoi(answer.substr(9, 3), &page.status)) {
    return NotReached(base, "it does not speak HTTP");
  }
  page.body = answer.substr(head + 4);
  return page;
}

}  // namespace coder::cli
