#include "services/provisionerd/private_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/process/descriptor.h"

namespace coder::provisionerd {

absl::Status WritePrivateFile(const std::string& path, const std::string& content) {
  const auto failed = [&path] {
    return absl::InternalError(absl::StrCat("write ", path, ": ", std::strerror(errno),
                                            "; check the work directory's space and rights"));
  };
  // Unlinking first makes O_EXCL hold, and with it the mode.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed();
  const process::Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return failed();
  std::size_t written = 0;
  while (written < content.size()) {
    const ssize_t n = ::write(file.get(), content.data() + written, content.size() - written);
    if (n < 0 && errno != EINTR) return failed();
    if (n > 0) written += static_cast<std::size_t>(n);
  }
  return absl::OkStatus();
}

std::optional<std::string> ReadRegularFile(const std::string& path, std::size_t max_bytes) {
  // O_NONBLOCK: a FIFO of that name must not hold the job up.
  const process::Descriptor file(
      ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::nullopt;
  }
  std::string content;
  std::array<char, 65536> buffer;
  while (content.size() < max_bytes) {
    const ssize_t n =
        ::read(file.get(), buffer.data(), std::min(buffer.size(), max_bytes - content.size()));
    if (n < 0 && errno != EINTR) return std::nullopt;
    if (n == 0) break;
    if (n > 0) content.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return content;
}

}  // namespace coder::provisionerd
