#include "libs/archive/template_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/archive/byte_source.h"
#include "libs/archive/entry_names.h"
#include "libs/archive/tar_stream.h"
#include "libs/process/descriptor.h"

namespace coder::archive {
namespace {

using process::Descriptor;

// Receives the entries of a checked archive.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  virtual absl::Status Directory(const std::string& name) = 0;
  virtual absl::Status BeginFile(const std::string& name, bool executable) = 0;
  virtual absl::Status Write(std::string_view bytes) = 0;
};

class NoSink final : public EntrySink {
 public:
  absl::Status Directory(const std::string&) override { return absl::OkStatus(); }
  absl::Status BeginFile(const std::string&, bool) override { return absl::OkStatus(); }
  absl::Status Write(std::string_view) override { return absl::OkStatus(); }
};

// Writes below one directory, part by part and never through a link.
class DirectorySink final : public EntrySink {
 public:
  explicit DirectorySink(Descriptor root) : root_(std::move(root)) {}

  absl::Status Directory(const std::string& name) override {
    return Descend(absl::StrSplit(name, '/'), name).status();
  }

  absl::Status BeginFile(const std::string& name, bool executable) override {
    std::vector<std::string> parts = absl::StrSplit(name, '/');
    const std::string last = parts.back();
    parts.pop_back();
    absl::StatusOr<Descriptor> parent = Descend(parts, name);
    if (!parent.ok()) return parent.status();
    file_ = Descriptor(::openat(parent->get(), last.c_str(),
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                executable ? 0700 : 0600));
    name_ = name;
    return file_.valid() ? absl::OkStatus() : Failed();
  }

  absl::Status Write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno != EINTR) return Failed();
      if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Failed() const {
    return absl::InternalError(absl::StrCat("extract template archive: write ", Quoted(name_), ": ",
                                            std::strerror(errno),
                                            "; check the work directory's space and rights"));
  }

  absl::StatusOr<Descriptor> Descend(const std::vector<std::string>& parts,
                                     const std::string& name) {
    name_ = name;
    Descriptor at(::openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const std::string& part : parts) {
      if (!at.valid()) return Failed();
      if (::mkdirat(at.get(), part.c_str(), 0700) != 0 && errno != EEXIST) return Failed();
      at = Descriptor(
          ::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!at.valid()) return Failed();
    return at;
  }

  Descriptor root_;
  Descriptor file_;
  std::string name_;
};

absl::Status CheckRoom(const TarEntry& entry, const TemplateArchiveSummary& so_far,
                       const TemplateArchiveLimits& limits) {
  if (so_far.files + so_far.directories >= limits.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: entry ", Quoted(entry.name), ": there are more than ",
                     limits.max_entries, " files and directories; remove what is not needed"));
  }
  if (entry.size > limits.max_extracted_bytes - so_far.extracted_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: entry ", Quoted(entry.name), ": with its ",
                     entry.size, " bytes all files together exceed ", limits.max_extracted_bytes,
                     " bytes; remove large files and fetch them when the workspace starts"));
  }
  return absl::OkStatus();
}

absl::Status CopyContent(TarStream& tar, EntrySink& sink) {
  std::array<char, 32768> buffer;
  while (true) {
    absl::StatusOr<std::size_t> got = tar.ReadContent(buffer.data(), buffer.size());
    if (!got.ok()) return got.status();
    if (*got == 0) return absl::OkStatus();
    absl::Status written = sink.Write(std::string_view(buffer.data(), *got));
    if (!written.ok()) return written;
  }
}

absl::StatusOr<TemplateArchiveSummary> Walk(std::string_view bytes,
                                            const TemplateArchiveLimits& limits, EntrySink& sink) {
  if (bytes.size() > limits.max_archive_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: it has ", bytes.size(), " bytes, more than ",
                     limits.max_archive_bytes, "; compress it or remove large files"));
  }
  auto source = ByteSource::Open(bytes);
  if (!source.ok()) return source.status();
  TarStream tar(**source, limits);
  EntryNames names(limits);
  TemplateArchiveSummary summary;
  while (true) {
    absl::StatusOr<std::optional<TarEntry>> entry = tar.Next();
    if (!entry.ok()) return entry.status();
    if (!entry->has_value()) return summary;
    const TarEntry& found = **entry;
    if (absl::Status room = CheckRoom(found, summary, limits); !room.ok()) return room;
    absl::StatusOr<std::string> name = names.Add(found.name, found.is_directory);
    if (!name.ok()) return name.status();
    (found.is_directory ? summary.directories : summary.files) += 1;
    summary.extracted_bytes += found.size;
    absl::Status taken;
    if (!found.is_directory) {
      taken = sink.BeginFile(*name, found.is_executable);
    } else if (!name->empty()) {
      taken = sink.Directory(*name);
    }
    if (taken.ok()) taken = CopyContent(tar, sink);
    if (!taken.ok()) return taken;
  }
}

}  // namespace

absl::StatusOr<TemplateArchiveSummary> CheckTemplateArchive(std::string_view bytes,
                                                            const TemplateArchiveLimits& limits) {
  NoSink sink;
  return Walk(bytes, limits, sink);
}

absl::StatusOr<TemplateArchiveSummary> ExtractTemplateArchive(std::string_view bytes,
                                                              const std::string& directory,
                                                              const TemplateArchiveLimits& limits) {
  Descriptor root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) {
    return absl::InternalError(absl::StrCat("extract template archive into ", directory, ": ",
                                            std::strerror(errno),
                                            "; check the work directory's space and rights"));
  }
  DirectorySink sink(std::move(root));
  return Walk(bytes, limits, sink);
}

}  // namespace coder::archive
