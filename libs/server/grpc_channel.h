#pragma once

#include <grpc/support/time.h>
#include <grpcpp/channel.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/server/grpc_options.h"

namespace coder::server {

// A channel that notices a dead peer within 30 s (keepalive 20 s / 10 s, TCP user timeout), retries
// UNAVAILABLE up to four times with jittered backoff, balances over all addresses of the name and
// reconnects within 5 s. It dials when first used. Limits: 4 MiB per received message.
// NOT_FOUND when a PEM file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateChannel(const GrpcChannelOptions& options);

// The deadline of a call that may take `timeout`, for ClientContext::set_deadline; on the monotonic
// clock, so that a step of the wall clock changes nothing.
gpr_timespec CallDeadline(absl::Duration timeout);

}  // namespace coder::server
