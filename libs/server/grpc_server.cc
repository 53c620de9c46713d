#include "libs/server/grpc_server.h"

#include <grpc/support/time.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/server/admin_server.h"
#include "libs/server/log.h"
#include "libs/server/pem_file.h"
#include "libs/status/status_macros.h"

namespace coder::server {
namespace {

constexpr size_t kQuotaBytes = 512u << 20;

int Milliseconds(absl::Duration d) {
  return static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(d), INT32_MAX));
}

// gRPC wants a host, and takes [::] for every address of both families.
std::string ListenAddress(const HostAndPort& address) {
  if (address.host.empty()) return absl::StrCat("[::]:", address.port);
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return ipv6 ? absl::StrCat("[", address.host, "]:", address.port)
              : absl::StrCat(address.host, ":", address.port);
}

}  // namespace

GrpcServer::GrpcServer(GrpcServerOptions options, clock::Clock& clock,
                       prometheus::Registry& registry)
    : options_(std::move(options)), clock_(clock), metrics_(registry) {
  metrics_.AddService("grpc.health.v1.Health");
  health_[""] = true;
}

GrpcServer::~GrpcServer() { Stop(); }

void GrpcServer::AddService(grpc::Service& service, const std::string& full_name) {
  services_.push_back(&service);
  metrics_.AddService(full_name);
  std::lock_guard lock(mutex_);
  health_.emplace(full_name, true);
}

void GrpcServer::SetServing(const std::string& name, bool serving) {
  std::lock_guard lock(mutex_);
  health_[name] = serving;
  if (started_) server_->GetHealthCheckService()->SetServingStatus(name, serving);
}

void GrpcServer::OnDrain(std::function<void()> callback) {
  drain_callbacks_.push_back(std::move(callback));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> GrpcServer::Credentials() const {
  const TlsFiles& tls = options_.tls;
  if (tls.certificate.empty()) {
    log::Warn("gRPC is served without encryption", {{"address", options_.listen}});
    return grpc::InsecureServerCredentials();
  }
  // The watcher would wait for missing files in silence.
  RETURN_IF_ERROR(ReadPemFile("server certificate", tls.certificate).status());
  RETURN_IF_ERROR(ReadPemFile("server key", tls.key).status());
  RETURN_IF_ERROR(ReadPemFile("client authority", tls.client_ca).status());
  namespace ex = grpc::experimental;
  auto files = std::make_shared<ex::FileWatcherCertificateProvider>(
      tls.key, tls.certificate, tls.client_ca,
      static_cast<unsigned>(absl::ToInt64Seconds(tls.refresh)));
  ex::TlsServerCredentialsOptions credentials(files);
  credentials.watch_identity_key_cert_pairs();
  if (!tls.client_ca.empty()) {
    credentials.watch_root_certs();
    credentials.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return ex::TlsServerCredentials(credentials);
}

void GrpcServer::SetLimits(grpc::ServerBuilder& builder) const {
  builder.SetMaxReceiveMessageSize(options_.max_receive_bytes);
  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_MAX_METADATA_SIZE, options_.max_metadata_bytes},
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams},
      // The keepalive timeout is the TCP user timeout, too.
      {GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options_.keepalive_time)},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options_.keepalive_timeout)},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
       Milliseconds(options_.min_client_ping)},
      {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},
      {GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(options_.max_connection_age)},
      {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(options_.max_connection_age_grace)},
      // Two processes on one port would share its calls in silence.
      {GRPC_ARG_ALLOW_REUSEPORT, 0},
  };
  for (const auto& [key, value] : arguments) builder.AddChannelArgument(key, value);
  grpc::ResourceQuota quota("server");
  quota.SetMaxThreads(options_.max_threads);
  quota.Resize(kQuotaBytes);
  builder.SetResourceQuota(quota);
}

absl::Status GrpcServer::Start() {
  ASSIGN_OR_RETURN(const HostAndPort address, ParseHostPort(options_.listen));
  ASSIGN_OR_RETURN(auto credentials, Credentials());
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<CallInterceptorFactory>(metrics_, clock_));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.AddListeningPort(ListenAddress(address), credentials, &port_);
  for (grpc::Service* service : services_) builder.RegisterService(service);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    return absl::UnavailableError(absl::StrCat("listen on gRPC address ", options_.listen,
                                               ": it is taken or not of this machine; choose "
                                               "another with --grpc-listen"));
  }
  ApplyHealth();
  log::Info(
      "gRPC listener ready",
      {{"address", options_.listen}, {"port", port_}, {"tls", !options_.tls.certificate.empty()}});
  return WritePortFile(options_.port_file, port_);
}

void GrpcServer::ApplyHealth() {
  std::lock_guard lock(mutex_);
  started_ = true;
  for (const auto& [name, serving] : health_) {
    server_->GetHealthCheckService()->SetServingStatus(name, serving);
  }
}

void GrpcServer::Drain(absl::Duration budget) {
  if (!server_) return;
  const absl::Duration end = clock_.MonotonicNow() + budget;
  server_->GetHealthCheckService()->Shutdown();
  clock_.Wait(std::min(options_.drain_delay, budget), {});
  for (const auto& callback : drain_callbacks_) callback();
  // A part of the time stays for the parts that drain after this one.
  const absl::Duration left = std::max(absl::ZeroDuration(), end - clock_.MonotonicNow()) * 0.8;
  server_->Shutdown(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(left), GPR_TIMESPAN)));
}

void GrpcServer::Stop() {
  if (!server_) return;
  server_->Shutdown(gpr_inf_past(GPR_CLOCK_MONOTONIC));
  std::lock_guard lock(mutex_);
  started_ = false;
  server_.reset();
}

std::shared_ptr<grpc::Channel> GrpcServer::InProcessChannel() {
  return server_->InProcessChannel({});
}

absl::Status CheckMessageSize(const google::protobuf::MessageLite& request, size_t limit) {
  const size_t size = request.ByteSizeLong();
  if (size <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("receive ", request.GetTypeName(), ": ", size,
                                                   " bytes are over the limit of ", limit,
                                                   "; send less at once"));
}

}  // namespace coder::server
