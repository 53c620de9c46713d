#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <string>
#include <string_view>

#include "libs/clock/clock.h"
#include "libs/server/grpc_metrics.h"

namespace coder::server {

// The metadata key of the request id.
inline constexpr char kRequestIdKey[] = "x-request-id";

// Makes the interceptor of each call: it counts the call, gives it a request id (the client's
// x-request-id of up to 128 printable characters, else a random one) that the handler finds in
// its metadata and the client in the initial metadata (in the trailing, too, after a failure),
// logs a failed call once and removes internal detail from its status.
class CallInterceptorFactory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // Both must outlive the server.
  CallInterceptorFactory(const GrpcMetrics& metrics, clock::Clock& clock)
      : metrics_(metrics), clock_(clock) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const GrpcMetrics& metrics_;
  clock::Clock& clock_;
};

// The request id of a call on a GrpcServer; `context` is any server context of gRPC.
template <typename Context>
std::string RequestId(const Context& context) {
  const auto found = context.client_metadata().find(kRequestIdKey);
  return found == context.client_metadata().end()
             ? std::string()
             : std::string(found->second.data(), found->second.size());
}

}  // namespace coder::server
