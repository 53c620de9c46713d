#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/archive/byte_source.h"
#include "libs/archive/template_archive.h"

namespace coder::archive {

// One regular file or directory of a tar file, its name as written.
struct TarEntry {
  std::string name;
  bool is_directory = false;
  bool is_executable = false;
  std::uint64_t size = 0;
};

// Reads a tar file header by header, strictly: what it does not know it refuses. Errors as in
// template_archive.h. One thread at a time; the source must outlive it.
class TarStream {
 public:
  TarStream(ByteSource& source, const TemplateArchiveLimits& limits)
      : source_(source), limits_(limits) {}

  // The next file or directory; nothing at the end of the archive. The entry before must have been
  // read to its end with ReadContent.
  absl::StatusOr<std::optional<TarEntry>> Next();

  // Fills `out` with content of the current entry; 0 at its end.
  absl::StatusOr<std::size_t> ReadContent(char* out, std::size_t size);

 private:
  struct Header;
  // What extended headers say about the entry that follows them.
  struct Override {
    std::optional<std::string> name;
    std::optional<std::uint64_t> size;
  };
  absl::StatusOr<bool> ReadHeader(Header& header);
  absl::StatusOr<std::string> ReadExtension(const Header& header, std::uint64_t size);
  absl::Status ApplyPax(const std::string& records, bool global, Override& override);
  absl::Status ReadExact(char* out, std::size_t size);
  absl::StatusOr<TarEntry> EntryOf(const Header& header, const Override& override);
  absl::Status CountHeader(const std::string& name);

  ByteSource& source_;
  const TemplateArchiveLimits& limits_;
  std::uint64_t headers_ = 0;
  std::uint64_t extension_bytes_ = 0;
  std::uint64_t content_left_ = 0;
  std::size_t padding_ = 0;
};

}  // namespace coder::archive
