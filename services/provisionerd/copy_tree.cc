#include "services/provisionerd/copy_tree.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "libs/process/descriptor.h"

namespace coder::provisionerd {
namespace {

namespace fs = std::filesystem;

bool ShareBlocks(const fs::path& from, const fs::path& to) {
  const process::Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!source.valid() || ::fstat(source.get(), &info) != 0) return false;
  const process::Descriptor made(
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, info.st_mode & 0777));
  return made.valid() && ::ioctl(made.get(), FICLONE, source.get()) == 0;
}

void CopyOne(const fs::path& from, const fs::path& to, std::error_code& error) {
  const fs::file_status kind = fs::symlink_status(from, error);
  if (error) return;
  if (fs::is_symlink(kind)) {
    fs::copy_symlink(from, to, error);
  } else if (fs::is_directory(kind)) {
    fs::create_directory(to, error);
  } else if (fs::is_regular_file(kind) && !ShareBlocks(from, to)) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  }
}

}  // namespace

absl::Status CopyTree(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::path at = from;
  CopyOne(from, to, error);
  if (!error && fs::is_directory(from, error)) {
    for (fs::recursive_directory_iterator it(from, error), end; !error && it != end;
         it.increment(error)) {
      at = it->path();
      CopyOne(at, fs::path(to) / at.lexically_relative(from), error);
      if (error) break;
    }
  }
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("copy ", at.string(), " below ", to, ": ",
                                          error.message(), "; check the space and rights there"));
}

std::int64_t TreeBytes(const std::string& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code unreadable;
    if (it->is_symlink(unreadable) || !it->is_regular_file(unreadable)) continue;
    const auto size = it->file_size(unreadable);
    if (!unreadable) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace coder::provisionerd
