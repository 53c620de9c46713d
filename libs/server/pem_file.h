#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace coder::server {

// The content of a PEM file, for `purpose` as in "client key"; empty for an empty path. NOT_FOUND
// names purpose and path when it cannot be read or holds nothing.
absl::StatusOr<std::string> ReadPemFile(const std::string& purpose, const std::string& path);

}  // namespace coder::server
