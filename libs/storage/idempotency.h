#pragma once

#include <string>

#include "libs/ids/uuid.h"

namespace coder::storage {

/// Names one request for 24 hours, so that sending it again has no second effect.
struct RequestKey {
  /// Who asks, with the kind of caller ("user/<id>"); the same id of another caller is another
  /// request.
  std::string caller;
  /// The full name of the RPC.
  std::string method;
  ids::Uuid request_id;
  /// The request's bytes in a deterministic form, its request_id included.
  std::string request;
};

}  // namespace coder::storage
