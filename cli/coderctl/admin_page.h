#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coder::cli {

/// What an admin port answered.
struct AdminPage {
  int status = 0;
  std::string body;
};

/// GETs `path` from `base`, `host:port` or `http://host:port`, within `timeout` from byte to byte.
/// At most 16 MiB. INVALID_ARGUMENT for another form of `base`; UNAVAILABLE when nobody answers in
/// HTTP.
absl::StatusOr<AdminPage> FetchAdminPage(const std::string& base, const std::string& path,
                                         absl::Duration timeout);

}  // namespace coder::cli
