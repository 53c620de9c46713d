#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace coder::archive {

// A file that exists in memory only.
struct MemoryFile {
  // A relative path with "/".
  std::string name;
  std::string content;
};

// A gzip-compressed tar file of the files in their order, readable by their owner only, without
// times. INTERNAL when it cannot be made.
absl::StatusOr<std::string> PackFiles(const std::vector<MemoryFile>& files);

}  // namespace coder::archive
