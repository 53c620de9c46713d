#include "libs/server/grpc_metrics.h"

#include <google/protobuf/descriptor.h>

namespace coder::server {
namespace {

constexpr std::array<std::string_view, GrpcMethodMetrics::kCodes> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

const char* TypeName(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi_stream" : "client_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

}  // namespace

GrpcMetrics::GrpcMetrics(prometheus::Registry& registry)
    : started_(Counters(registry, "grpc_server_started_total", "RPCs started on the server.")),
      handled_(Counters(registry, "grpc_server_handled_total",
                        "RPCs completed on the server, by code.")),
      received_(
          Counters(registry, "grpc_server_msg_received_total", "Messages received from clients.")),
      sent_(Counters(registry, "grpc_server_msg_sent_total", "Messages sent to clients.")),
      seconds_(prometheus::BuildHistogram()
                   .Name("grpc_server_handling_seconds")
                   .Help("Time from the start of an RPC to its status.")
                   .Register(registry)) {}

void GrpcMetrics::AddService(const std::string& full_name) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(full_name);
  if (service == nullptr) return;
  for (int i = 0; i < service->method_count(); ++i) {
    const auto& method = *service->method(i);
    prometheus::Labels labels = {{"grpc_type", TypeName(method)},
                                 {"grpc_service", full_name},
                                 {"grpc_method", method.name()}};
    GrpcMethodMetrics& metrics = methods_["/" + full_name + "/" + method.name()];
    metrics.started = &started_.Add(labels);
    metrics.received = &received_.Add(labels);
    metrics.sent = &sent_.Add(labels);
    metrics.seconds = &seconds_.Add(labels, prometheus::Histogram::BucketBoundaries{
                                                .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10});
    for (size_t code = 0; code < kCodeNames.size(); ++code) {
      labels["grpc_code"] = std::string(kCodeNames[code]);
      metrics.handled[code] = &handled_.Add(labels);
    }
  }
}

const GrpcMethodMetrics* GrpcMetrics::Find(std::string_view path) const {
  const auto found = methods_.find(path);
  return found == methods_.end() ? nullptr : &found->second;
}

std::string_view CodeName(int code) {
  return code >= 0 && code < static_cast<int>(kCodeNames.size())
             ? kCodeNames[static_cast<size_t>(code)]
             : std::string_view("Unknown");
}

}  // namespace coder::server
