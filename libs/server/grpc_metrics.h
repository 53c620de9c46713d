#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace coder::server {

// The counters of one RPC method, under the names that go-grpc-prometheus made common.
struct GrpcMethodMetrics {
  static constexpr size_t kCodes = 17;

  prometheus::Counter* started = nullptr;
  prometheus::Counter* received = nullptr;
  prometheus::Counter* sent = nullptr;
  prometheus::Histogram* seconds = nullptr;
  std::array<prometheus::Counter*, kCodes> handled{};  // by gRPC code
};

// grpc_server_* of one server. Every method of every service exists from the start with zeros, so
// that rate() sees the first error. Complete before the server starts, only read after that.
class GrpcMetrics {
 public:
  // `registry` must outlive this object.
  explicit GrpcMetrics(prometheus::Registry& registry);

  // Registers the methods of a service linked into the program; unknown names add nothing.
  void AddService(const std::string& full_name);

  // By path, as in "/coder.api.v1.UserService/GetUser"; null for methods never registered.
  const GrpcMethodMetrics* Find(std::string_view path) const;

 private:
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Counter>& received_;
  prometheus::Family<prometheus::Counter>& sent_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  std::map<std::string, GrpcMethodMetrics, std::less<>> methods_;
};

// "OK", "InvalidArgument", ...; "Unknown" for a code outside gRPC's.
std::string_view CodeName(int code);

}  // namespace coder::server
