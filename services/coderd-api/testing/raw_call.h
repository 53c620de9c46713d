#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace coder::api {

/// How a call by name ended.
struct RawAnswer {
  grpc::Status status;
  /// The first message, as bytes; empty when none came.
  std::string message;
};

/// Calls any RPC, unary or streaming, with one request in protobuf text form and a token ("" sends
/// none): `RawCall(channel, "/coder.api.v1.UserService/GetUser", "user: 'me'", token)`. A stream is
/// left after its first message, with status OK. A method or a text that does not exist ends the
/// test process with a sentence.
RawAnswer RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& request_text, const std::string& token);

}  // namespace coder::api
