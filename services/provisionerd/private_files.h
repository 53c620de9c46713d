#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace coder::provisionerd {

// Writes a file that only this user may read (mode 0600), replacing what is there without following
// a link. INTERNAL with the path and the system's reason.
absl::Status WritePrivateFile(const std::string& path, const std::string& content);

// A regular file's content, up to `max_bytes` of it; nothing if it is absent, a link, or
// unreadable.
std::optional<std::string> ReadRegularFile(const std::string& path, std::size_t max_bytes);

}  // namespace coder::provisionerd
