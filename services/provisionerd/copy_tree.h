#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace coder::provisionerd {

/// Copies a file, or a folder with all below it, to `to`; folders may be there already. Links are
/// copied as links. Shares the blocks of files where the file system can. INTERNAL with the path
/// and the system's reason.
absl::Status CopyTree(const std::string& from, const std::string& to);

/// The bytes of all regular files of a folder; what cannot be read counts nothing.
std::int64_t TreeBytes(const std::string& folder);

}  // namespace coder::provisionerd
