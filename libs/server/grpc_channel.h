#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "absl/status/statusor.h"
#include "libs/server/grpc_options.h"

namespace coder::server {

// A channel that notices a dead peer within 30 s (keepalive 20 s / 10 s, TCP user timeout), retries
// UNAVAILABLE up to four times with jittered backoff, balances over all addresses of the name and
// reconnects within 5 s. It dials when first used. Limits: 4 MiB per received message.
// NOT_FOUND when a PEM file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateChannel(const GrpcChannelOptions& options);

}  // namespace coder::server
