#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "libs/server/options.h"

namespace coder::server {

// Certificate files; all are re-read when they change, so that a rotation needs no restart.
struct TlsFiles {
  std::string certificate;  // PEM chain
  std::string key;          // PEM
  std::string client_ca;    // PEM; when set, clients must present a certificate of it
  // How often the files are looked at, in whole seconds.
  absl::Duration refresh = absl::Seconds(30);
};

// How a gRPC server listens and what it bears.
struct GrpcServerOptions {
  std::string listen = "127.0.0.1:0";  // port 0 takes a free one
  std::string port_file;               // the bound port is written here, if set
  TlsFiles tls;                        // empty: plaintext
  int max_receive_bytes = 4 * 1024 * 1024;
  int max_metadata_bytes = 8 * 1024;
  int max_concurrent_streams = 100;  // of one connection
  int max_threads = 64;              // of the synchronous handlers
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  absl::Duration min_client_ping = absl::Seconds(10);
  // gRPC spreads the age by 10 % either way; calls get the grace to end.
  absl::Duration max_connection_age = absl::Minutes(45);
  absl::Duration max_connection_age_grace = absl::Seconds(30);
  // From NOT_SERVING until no balancer sends new calls here.
  absl::Duration drain_delay = absl::Seconds(3);
};

// What most requests may measure; uploads may use all of max_receive_bytes.
inline constexpr size_t kMaxMessageBytes = 256 * 1024;

// Registers grpc-listen, grpc-port-file, grpc-tls-certificate, grpc-tls-key, grpc-tls-client-ca,
// grpc-max-threads, grpc-max-connection-age and drain-delay, with the values in `options` as
// defaults, and the rule that certificate and key come together.
void RegisterGrpcServerOptions(OptionSet& set, GrpcServerOptions& options);

// How a client reaches a gRPC server; certificate files are re-read when they change, and new
// connections use them.
struct GrpcChannelOptions {
  std::string target;       // host:port or any gRPC name
  bool plaintext = true;    // must be said: no silent fallback from TLS
  std::string ca;           // PEM file for TLS; empty means the system's
  std::string certificate;  // PEM file of the client; with key
  std::string key;
  // How often the files are looked at, in whole seconds.
  absl::Duration refresh = absl::Seconds(30);
  std::string user_agent;  // "provisionerd/0.1.0"
};

// Registers <prefix>-address, -plaintext, -ca, -certificate and -key.
void RegisterGrpcChannelOptions(OptionSet& set, const std::string& prefix,
                                GrpcChannelOptions& options);

}  // namespace coder::server
