#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace coder::server {

// The one translation of our errors at the edge. Code and message carry over; reason, field
// violations and retry delay (libs/status) become google.rpc ErrorInfo (domain "coder"), BadRequest
// and RetryInfo in the status details. INTERNAL, UNKNOWN, DATA_LOSS and messages marked as internal
// detail become a neutral sentence; the original goes, in a detail of its own, as far as the call's
// interceptor, which logs and removes it.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse, for clients: code and message, and what the details carry as libs/status payloads.
// Details of other kinds are dropped. A malformed code becomes UNKNOWN.
absl::Status StatusFromGrpc(const grpc::Status& status);

// What a server may send in place of `status`, and what only its log may hold.
struct PublicStatus {
  grpc::Status status;
  std::string internal_detail;  // empty when nothing was hidden
};

// Takes the internal detail out of what ToGrpcStatus made; the sentence of a hidden error then
// names the request, so that an operator finds the log line.
PublicStatus WithoutInternalDetail(const grpc::Status& status, const std::string& request_id);

}  // namespace coder::server
