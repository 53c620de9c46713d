#include "libs/server/pem_file.h"

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace coder::server {

absl::StatusOr<std::string> ReadPemFile(const std::string& purpose, const std::string& path) {
  if (path.empty()) return std::string();
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  if (content.str().find("-----BEGIN") == std::string::npos) {
    return absl::NotFoundError(
        absl::StrCat("read ", purpose, " ", path, ": no PEM data; check the path and its rights"));
  }
  return content.str();
}

}  // namespace coder::server
