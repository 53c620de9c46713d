#include "libs/server/grpc_options.h"

#include "absl/strings/str_cat.h"

namespace coder::server {

void RegisterGrpcServerOptions(OptionSet& set, GrpcServerOptions& options) {
  set.Group("gRPC listener");
  set.HostPort("grpc-listen", &options.listen, "address to serve on; port 0 takes a free one");
  set.Text("grpc-port-file", &options.port_file, "file to write the bound port to");
  set.Text("grpc-tls-certificate", &options.tls.certificate,
           "PEM file of the certificate chain; unset serves plaintext");
  set.Text("grpc-tls-key", &options.tls.key, "PEM file of the private key");
  set.Text("grpc-tls-client-ca", &options.tls.client_ca,
           "PEM file of the authority whose certificates clients must present");
  set.Integer("grpc-max-threads", &options.max_threads, 4, 4096,
              "threads of unary handlers; more calls at once are refused");
  set.Duration("grpc-max-connection-age", &options.max_connection_age, absl::Seconds(10),
               "when a connection is asked to close, so that load spreads again");
  set.Duration("drain-delay", &options.drain_delay, absl::ZeroDuration(),
               "from NOT_SERVING until new calls are refused, for balancers to notice");
  set.Check([&options]() -> std::optional<std::string> {
    if (options.tls.certificate.empty() == options.tls.key.empty() &&
        (options.tls.client_ca.empty() || !options.tls.certificate.empty())) {
      return std::nullopt;
    }
    return "options grpc-tls-certificate, grpc-tls-key and grpc-tls-client-ca: set certificate "
           "and key together, and a client authority only with them";
  });
}

void RegisterGrpcChannelOptions(OptionSet& set, const std::string& prefix,
                                GrpcChannelOptions& options) {
  set.Text(prefix + "-address", &options.target, "address of the gRPC server, as host:port");
  set.Bool(prefix + "-plaintext", &options.plaintext, "whether to speak without TLS");
  set.Text(prefix + "-ca", &options.ca, "PEM file of the server's authority; unset: the system's");
  set.Text(prefix + "-certificate", &options.certificate, "PEM file of the client certificate");
  set.Text(prefix + "-key", &options.key, "PEM file of the client certificate's key");
  set.Check([&options, prefix]() -> std::optional<std::string> {
    if (options.plaintext && !(options.ca + options.certificate + options.key).empty()) {
      return absl::StrCat("options ", prefix, "-plaintext and ", prefix, "-ca: certificates need ",
                          "TLS; set --no-", prefix, "-plaintext");
    }
    if (options.certificate.empty() != options.key.empty()) {
      return absl::StrCat("options ", prefix, "-certificate and ", prefix,
                          "-key: set both or none");
    }
    return std::nullopt;
  });
}

}  // namespace coder::server
