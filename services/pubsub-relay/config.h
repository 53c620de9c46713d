#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "libs/server/admin_server.h"
#include "libs/server/common_options.h"
#include "libs/server/grpc_options.h"
#include "libs/server/options.h"
#include "libs/server/secret.h"

namespace coder::relay {

// What pubsub-relay is told by flags, environment and file. Immutable once loaded.
struct Config {
  server::CommonOptions common;
  server::AdminOptions admin;
  // Health and reflection only; the relay serves nobody.
  server::GrpcServerOptions grpc;
  // libpq's address, as the role coder_relay; holds a password.
  server::Secret postgres_url;
  // One or more addresses, separated by commas; hold a password.
  server::Secret nats_url;

  // How often the outbox is looked at without a poke.
  absl::Duration poll_interval = absl::Milliseconds(250);
  int64_t max_events = 2048;
  int64_t ring_events = 65'536;
  int64_t stream_max_bytes = int64_t{1} << 30;
  absl::Duration stream_max_age = absl::Hours(24);
  int64_t stream_replicas = 1;
  absl::Duration retention = absl::Hours(24 * 7);
  int partitions_ahead = 4;
};

// Registers every option of pubsub-relay with the defaults in `config`, which must outlive the set.
void RegisterOptions(server::OptionSet& set, Config& config);

}  // namespace coder::relay
