#include "libs/server/call_interceptor.h"

#include <algorithm>
#include <array>
#include <random>

#include "absl/strings/str_format.h"
#include "libs/server/grpc_status.h"
#include "libs/server/log.h"

namespace coder::server {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

constexpr size_t kMaxRequestIdBytes = 128;

std::string RandomRequestId() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return absl::StrFormat("%016x%016x", random(), random());
}

bool IsPrintable(grpc::string_ref text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

class CallInterceptor : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(const char* method, const GrpcMethodMetrics* metrics, clock::Clock& clock)
      : method_(method), metrics_(metrics), clock_(clock), begin_(clock.MonotonicNow()) {
    if (metrics_) metrics_->started->Increment();
  }

  // A call that its client left before a status was sent.
  ~CallInterceptor() override {
    if (!handled_) Count(grpc::StatusCode::CANCELLED);
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    auto at = [methods](InterceptionHookPoints point) {
      return methods->QueryInterceptionHookPoint(point);
    };
    if (at(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) TakeRequestId(methods);
    if (at(InterceptionHookPoints::POST_RECV_MESSAGE) && metrics_ &&
        methods->GetRecvMessage() != nullptr) {
      metrics_->received->Increment();
    }
    if (at(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kRequestIdKey, request_id_);
    }
    if (at(InterceptionHookPoints::PRE_SEND_MESSAGE) && metrics_) metrics_->sent->Increment();
    if (at(InterceptionHookPoints::PRE_SEND_STATUS)) OnStatus(methods);
    methods->Proceed();
  }

 private:
  void TakeRequestId(InterceptorBatchMethods* methods) {
    auto* metadata = methods->GetRecvInitialMetadata();
    const auto given = metadata->find(kRequestIdKey);
    if (given != metadata->end() && !given->second.empty() &&
        given->second.size() <= kMaxRequestIdBytes && IsPrintable(given->second)) {
      request_id_.assign(given->second.data(), given->second.size());
      return;
    }
    request_id_ = RandomRequestId();
    metadata->erase(kRequestIdKey);
    // Handlers find the id where a client would have put it; this object outlives the call.
    metadata->emplace(kRequestIdKey, request_id_);
  }

  void OnStatus(InterceptorBatchMethods* methods) {
    const PublicStatus shown = WithoutInternalDetail(methods->GetSendStatus(), request_id_);
    handled_ = true;
    Count(shown.status.error_code());
    if (shown.status.ok()) return;
    methods->GetSendTrailingMetadata()->emplace(kRequestIdKey, request_id_);
    if (!shown.internal_detail.empty()) methods->ModifySendStatus(shown.status);
    Log(shown);
  }

  void Count(int code) {
    if (metrics_ == nullptr) return;
    const bool known = code >= 0 && code < static_cast<int>(GrpcMethodMetrics::kCodes);
    metrics_->handled[static_cast<size_t>(known ? code : int{grpc::StatusCode::UNKNOWN})]
        ->Increment();
    metrics_->seconds->Observe(absl::ToDoubleSeconds(clock_.MonotonicNow() - begin_));
  }

  void Log(const PublicStatus& shown) const {
    log::Level level = shown.internal_detail.empty() ? log::Level::kDebug : log::Level::kWarn;
    switch (shown.status.error_code()) {
      case grpc::StatusCode::INTERNAL:
      case grpc::StatusCode::UNKNOWN:
      case grpc::StatusCode::DATA_LOSS:
        level = log::Level::kError;
        break;
      default:
        break;
    }
    const std::array<log::Field, 5> fields = {
        log::Field("method", method_), log::Field("code", CodeName(shown.status.error_code())),
        log::Field("request_id", request_id_),
        log::Field("error", shown.internal_detail.empty() ? shown.status.error_message()
                                                          : shown.internal_detail),
        log::Field("seconds", clock_.MonotonicNow() - begin_)};
    log::Write(level, "call failed", fields.data(), fields.size());
  }

  const std::string method_;
  const GrpcMethodMetrics* const metrics_;
  clock::Clock& clock_;
  const absl::Duration begin_;
  std::string request_id_;
  bool handled_ = false;
};

}  // namespace

grpc::experimental::Interceptor* CallInterceptorFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new CallInterceptor(info->method(), metrics_.Find(info->method()), clock_);
}

}  // namespace coder::server
