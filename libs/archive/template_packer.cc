#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/archive/entry_names.h"
#include "libs/archive/template_archive.h"
#include "libs/process/descriptor.h"

namespace coder::archive {
namespace {

using process::Descriptor;

struct CloseWriter {
  void operator()(::archive* writer) const { ::archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(::archive_entry* entry) const { ::archive_entry_free(entry); }
};

absl::Status ReadError(const std::string& name) {
  return absl::InternalError(
      absl::StrCat("pack template: read ", Quoted(name), ": ", std::strerror(errno)));
}

bool IsLeftOut(const std::string& base) {
  return base == ".terraform" || base == ".git" || absl::StrContains(base, ".tfstate");
}

la_ssize_t AppendTo(::archive*, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

class Packer {
 public:
  explicit Packer(const TemplateArchiveLimits& limits) : limits_(limits) {}

  absl::StatusOr<std::string> Pack(const std::string& directory);

 private:
  absl::Status PackDirectory(const Descriptor& at, const std::string& prefix);
  absl::Status PackOne(const Descriptor& parent, const std::string& base, const std::string& name);
  absl::Status PackFile(const Descriptor& file, const std::string& name, const struct stat& info);
  absl::Status WriteHeader(const std::string& name, unsigned type, unsigned mode,
                           std::uint64_t size);
  absl::Status WriterError() const {
    return absl::InternalError(
        absl::StrCat("pack template: ", ::archive_error_string(writer_.get())));
  }

  const TemplateArchiveLimits& limits_;
  std::string packed_;
  std::uint64_t bytes_ = 0, entries_ = 0;
  // Last, so that it is closed while `packed_` still lives.
  std::unique_ptr<::archive, CloseWriter> writer_;
};

absl::StatusOr<std::string> Packer::Pack(const std::string& directory) {
  const Descriptor root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) {
    return absl::NotFoundError(absl::StrCat("pack template ", directory, ": ", std::strerror(errno),
                                            "; name a directory"));
  }
  writer_.reset(::archive_write_new());
  if (writer_ == nullptr) return absl::ResourceExhaustedError("pack template: no memory");
  if (::archive_write_set_format_pax_restricted(writer_.get()) != ARCHIVE_OK ||
      ::archive_write_add_filter_gzip(writer_.get()) != ARCHIVE_OK ||
      ::archive_write_set_options(writer_.get(), "gzip:!timestamp") != ARCHIVE_OK ||
      ::archive_write_set_options(writer_.get(), "pax:hdrcharset=BINARY") != ARCHIVE_OK ||
      ::archive_write_open(writer_.get(), &packed_, nullptr, AppendTo, nullptr) != ARCHIVE_OK) {
    return WriterError();
  }
  if (absl::Status done = PackDirectory(root, ""); !done.ok()) return done;
  if (::archive_write_close(writer_.get()) != ARCHIVE_OK) return WriterError();
  return std::move(packed_);
}

absl::StatusOr<std::vector<std::string>> SortedNames(const Descriptor& at,
                                                     const std::string& prefix) {
  DIR* listing = ::fdopendir(::fcntl(at.get(), F_DUPFD_CLOEXEC, 0));
  if (listing == nullptr) return ReadError(prefix);
  std::vector<std::string> names;
  while (const dirent* found = ::readdir(listing)) {
    const std::string base = found->d_name;
    if (base != "." && base != ".." && !IsLeftOut(base)) names.push_back(base);
  }
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Packer::PackDirectory(const Descriptor& at, const std::string& prefix) {
  absl::StatusOr<std::vector<std::string>> names = SortedNames(at, prefix);
  if (!names.ok()) return names.status();
  for (const std::string& base : *names) {
    const std::string name = prefix.empty() ? base : absl::StrCat(prefix, "/", base);
    if (absl::Status packed = PackOne(at, base, name); !packed.ok()) return packed;
  }
  return absl::OkStatus();
}

absl::Status Packer::PackOne(const Descriptor& parent, const std::string& base,
                             const std::string& name) {
  struct stat info;
  if (name.size() > limits_.max_path_bytes || ++entries_ > limits_.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("pack template: entry ", Quoted(name), ": more than ", limits_.max_entries,
                     " entries or a name of more than ", limits_.max_path_bytes,
                     " bytes; name the template's own directory"));
  }
  // The type is asked first: opening a device or FIFO may block or act.
  if (::fstatat(parent.get(), base.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return ReadError(name);
  }
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("pack template: entry ", Quoted(name),
                     ": it is a link or a special file; replace it by the file itself"));
  }
  const Descriptor opened(
      ::openat(parent.get(), base.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!opened.valid() || ::fstat(opened.get(), &info) != 0) return ReadError(name);
  if (!S_ISDIR(info.st_mode)) return PackFile(opened, name, info);
  absl::Status written = WriteHeader(absl::StrCat(name, "/"), AE_IFDIR, 0755, 0);
  return written.ok() ? PackDirectory(opened, name) : written;
}

absl::Status Packer::PackFile(const Descriptor& file, const std::string& name,
                              const struct stat& info) {
  bytes_ += static_cast<std::uint64_t>(info.st_size);
  if (bytes_ > limits_.max_extracted_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("pack template: entry ", Quoted(name), ": all files together exceed ",
                     limits_.max_extracted_bytes, " bytes; remove what is not needed"));
  }
  const unsigned mode = (info.st_mode & 0111) != 0 ? 0755 : 0644;
  absl::Status written =
      WriteHeader(name, AE_IFREG, mode, static_cast<std::uint64_t>(info.st_size));
  if (!written.ok()) return written;
  std::array<char, 65536> buffer;
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t got = ::read(file.get(), buffer.data(), std::min<off_t>(left, buffer.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadError(name);
    if (got == 0) {
      return absl::InternalError(
          absl::StrCat("pack template: read ", Quoted(name), ": it shrank meanwhile; try again"));
    }
    if (::archive_write_data(writer_.get(), buffer.data(), static_cast<std::size_t>(got)) < 0) {
      return WriterError();
    }
    left -= got;
  }
  return absl::OkStatus();
}

absl::Status Packer::WriteHeader(const std::string& name, unsigned type, unsigned mode,
                                 std::uint64_t size) {
  const std::unique_ptr<::archive_entry, FreeEntry> entry(::archive_entry_new());
  ::archive_entry_set_pathname(entry.get(), name.c_str());
  ::archive_entry_set_filetype(entry.get(), type);
  ::archive_entry_set_perm(entry.get(), mode);
  ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  ::archive_entry_set_mtime(entry.get(), 0, 0);
  // A warning is about text conversion in the C locale; names are written as they are.
  const int wrote = ::archive_write_header(writer_.get(), entry.get());
  return wrote == ARCHIVE_OK || wrote == ARCHIVE_WARN ? absl::OkStatus() : WriterError();
}

}  // namespace

absl::StatusOr<std::string> PackTemplate(const std::string& directory,
                                         const TemplateArchiveLimits& limits) {
  absl::StatusOr<std::string> packed = Packer(limits).Pack(directory);
  if (!packed.ok()) return packed;
  // What the server would refuse is better said here.
  absl::StatusOr<TemplateArchiveSummary> checked = CheckTemplateArchive(*packed, limits);
  if (!checked.ok()) return checked.status();
  return packed;
}

}  // namespace coder::archive
