#include "libs/server/grpc_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include "libs/server/pem_file.h"
#include "libs/status/status_macros.h"

namespace coder::server {
namespace {

constexpr char kServiceConfig[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.1s",
      "maxBackoff": "2s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }],
  "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.5}
})";

// gRPC 1.51 can come to fire a client's timers, those of reconnects among them, only when it polls
// as a backup, and then one of them: every five seconds unless told otherwise. It is told by a
// variable it reads when it starts, hence before main().
[[maybe_unused]] const int kBackupPolls =
    ::setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "500", /*overwrite=*/0);

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(
    const GrpcChannelOptions& options) {
  if (options.plaintext) return grpc::InsecureChannelCredentials();
  // The watcher would wait for missing files in silence.
  RETURN_IF_ERROR(ReadPemFile("server authority", options.ca).status());
  RETURN_IF_ERROR(ReadPemFile("client certificate", options.certificate).status());
  RETURN_IF_ERROR(ReadPemFile("client key", options.key).status());
  namespace ex = grpc::experimental;
  ex::TlsChannelCredentialsOptions tls;
  if (!options.ca.empty() || !options.certificate.empty()) {
    tls.set_certificate_provider(std::make_shared<ex::FileWatcherCertificateProvider>(
        options.key, options.certificate, options.ca,
        static_cast<unsigned>(absl::ToInt64Seconds(options.refresh))));
  }
  if (!options.ca.empty()) tls.watch_root_certs();
  if (!options.certificate.empty()) tls.watch_identity_key_cert_pairs();
  return ex::TlsCredentials(tls);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> CreateChannel(const GrpcChannelOptions& options) {
  ASSIGN_OR_RETURN(auto credentials, Credentials(options));
  grpc::ChannelArguments arguments;
  // These also turn on the TCP user timeout, which gRPC takes from the keepalive timeout.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(4 * 1024 * 1024);
  arguments.SetServiceConfigJSON(kServiceConfig);
  if (!options.user_agent.empty()) arguments.SetUserAgentPrefix(options.user_agent);
  return grpc::CreateCustomChannel(options.target, credentials, arguments);
}

gpr_timespec CallDeadline(absl::Duration timeout) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

}  // namespace coder::server
