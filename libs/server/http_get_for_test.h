#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace coder::server {

// Sends `request` to 127.0.0.1:`port` and returns all that comes back until the peer closes.
inline std::string ExchangeRaw(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) >= 0) {
    char chunk[4096];
    ssize_t got = 0;
    while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0) answer.append(chunk, got);
  }
  close(fd);
  return answer;
}

// One HTTP request on a connection of its own; head and body as they came.
inline std::string HttpRequest(int port, const std::string& method, const std::string& path,
                               const std::string& body = "") {
  return ExchangeRaw(port, method + " " + path + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n" +
                               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                               body);
}

}  // namespace coder::server
