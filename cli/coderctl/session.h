#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/server/grpc_status.h"

namespace coder::cli {

/// What the command line says about where to connect and as whom; empty strings were not given.
struct SessionOptions {
  std::string url;
  std::string token;
  /// Folder of the session file; empty: `$XDG_CONFIG_HOME/coderctl` or `~/.config/coderctl`.
  std::string config_dir;
  absl::Duration timeout = absl::Seconds(30);
};

/// What the session file holds, after flags and environment have had their say.
struct Credentials {
  std::string url;
  std::string token;
};

/// Resolves where and as whom: flags, then CODER_URL and CODER_SESSION_TOKEN, then the session
/// file. FAILED_PRECONDITION when no URL is known; INVALID_ARGUMENT for a session file that cannot
/// be read.
absl::StatusOr<Credentials> ResolveCredentials(const SessionOptions& options);

/// Writes the session file, readable by its owner only. INTERNAL with the path and the cause.
absl::Status SaveCredentials(const SessionOptions& options, const Credentials& credentials);

/// Forgets the saved token; the URL stays.
absl::Status ForgetToken(const SessionOptions& options);

/// A connection to the API with its credentials. Used by one command, from any thread.
class Session {
 public:
  /// Opens a channel to `credentials.url`: `host:port`, `http://host:port` (plaintext) or
  /// `https://host[:port]`. Sessions with the same number share a connection. INVALID_ARGUMENT for
  /// any other form.
  static absl::StatusOr<Session> Open(Credentials credentials, absl::Duration timeout,
                                      int connection = 0);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const Credentials& credentials() const { return credentials_; }

  /// Adds the token to `context`, and the deadline of a short call.
  void PrepareCall(grpc::ClientContext& context) const;

  /// Adds the token to `context` of a stream that may last.
  void PrepareStream(grpc::ClientContext& context) const;

 private:
  Session(Credentials credentials, absl::Duration timeout, std::shared_ptr<grpc::Channel> channel);

  Credentials credentials_;
  absl::Duration timeout_;
  std::shared_ptr<grpc::Channel> channel_;
};

/// Makes one unary call and returns its answer, or the server's error with its details.
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> Call(const Session& session,
                              grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
                              const Request& request) {
  const auto stub = Service::NewStub(session.channel());
  grpc::ClientContext context;
  session.PrepareCall(context);
  Response response;
  const grpc::Status status = (stub.get()->*method)(&context, request, &response);
  if (!status.ok()) return server::StatusFromGrpc(status);
  return response;
}

}  // namespace coder::cli
