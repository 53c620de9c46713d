#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/clock/clock.h"
#include "libs/server/call_interceptor.h"
#include "libs/server/grpc_metrics.h"
#include "libs/server/grpc_options.h"
#include "libs/server/program.h"

namespace coder::server {

// A gRPC server with our limits, reflection, health names, metrics and call log. Handlers return
// ToGrpcStatus(...); synchronous and callback services may be mixed.
class GrpcServer final : public Part {
 public:
  // Clock and registry must outlive the server.
  GrpcServer(GrpcServerOptions options, clock::Clock& clock, prometheus::Registry& registry);
  ~GrpcServer() override;

  // Before Start: serves `service`, which must outlive the server, under its full proto name
  // ("coder.api.v1.UserService"), which becomes a health name and is SERVING from Start.
  void AddService(grpc::Service& service, const std::string& full_name);

  // Sets a health name, known by then or not; "" is the server as a whole. Once drained all names
  // are NOT_SERVING for good. Any thread.
  void SetServing(const std::string& name, bool serving);

  // Before Start: called in order during the drain, after the drain delay and before calls are
  // cut; each ends its own long calls with a sentence and returns soon.
  void OnDrain(std::function<void()> callback);

  std::string name() const override { return "grpc-server"; }
  // INVALID_ARGUMENT for an impossible address, NOT_FOUND for a missing certificate file,
  // UNAVAILABLE when the address cannot be bound.
  absl::Status Start() override;
  // Health NOT_SERVING, the drain delay, the callbacks, then no new calls; those in hand may end
  // within what is left of `budget`, then they are cancelled.
  void Drain(absl::Duration budget) override;
  void Stop() override;

  // The bound port, once started.
  int port() const { return port_; }
  // A channel to this server without a socket; for tests.
  std::shared_ptr<grpc::Channel> InProcessChannel();

 private:
  absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials() const;
  void SetLimits(grpc::ServerBuilder& builder) const;
  void ApplyHealth();

  const GrpcServerOptions options_;
  clock::Clock& clock_;
  GrpcMetrics metrics_;
  std::vector<grpc::Service*> services_;
  std::vector<std::function<void()>> drain_callbacks_;
  int port_ = 0;

  std::mutex mutex_;
  std::map<std::string, bool> health_;
  bool started_ = false;
  std::unique_ptr<grpc::Server> server_;
};

// RESOURCE_EXHAUSTED, as gRPC's own limit gives, when a request is over `limit` bytes. The server
// lets 4 MiB through for uploads, so every other handler asks this first.
absl::Status CheckMessageSize(const google::protobuf::MessageLite& request,
                              size_t limit = kMaxMessageBytes);

}  // namespace coder::server
