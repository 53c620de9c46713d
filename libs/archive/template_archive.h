#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace coder::archive {

// What a template's archive may hold at most.
struct TemplateArchiveLimits {
  // Of the archive as uploaded, compressed or not.
  std::uint64_t max_archive_bytes = 10 << 20;
  // Of all files together.
  std::uint64_t max_extracted_bytes = 100 << 20;
  // Files and directories together.
  std::uint64_t max_entries = 10'000;
  std::size_t max_path_bytes = 255;
  // Components of a path: 1 for a file at the top.
  std::size_t max_depth = 32;
};

struct TemplateArchiveSummary {
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  // Of all files together.
  std::uint64_t extracted_bytes = 0;
};

// A template's archive is a tar file (ustar, pax or GNU), plain or gzip-compressed, of regular
// files and directories. All functions are pure but for the directory they are given, and may be
// called from any thread.
//
// Refused with INVALID_ARGUMENT, naming entry, rule and remedy: anything that is not such an
// archive or is cut short; links, devices, FIFOs and sparse files; set-user-id, set-group-id and
// sticky bits; names that are absolute, contain "..", ".", empty parts, control characters,
// backslashes, NUL, bytes that are not UTF-8, or combining characters; two entries of one name, or
// of names that differ only in case; a file used as a directory; sizes that contradict each other.
// RESOURCE_EXHAUSTED: a limit is exceeded; reading stops there, however much is still packed behind
// it.

// Checks an archive without writing anything.
absl::StatusOr<TemplateArchiveSummary> CheckTemplateArchive(
    std::string_view bytes, const TemplateArchiveLimits& limits = {});

// Checks and unpacks an archive into `directory`, an existing and empty directory that only this
// user may write to. Directories get mode 0700, files 0600, executable files 0700. Links are never
// followed. After an error the directory's content is undefined; the caller removes it. Errors as
// above, and INTERNAL if the file system refuses.
absl::StatusOr<TemplateArchiveSummary> ExtractTemplateArchive(
    std::string_view bytes, const std::string& directory, const TemplateArchiveLimits& limits = {});

// Packs a directory into a gzip-compressed archive that is the same for the same files: sorted,
// without times and owners. Left out: ".terraform" and ".git" directories and "*.tfstate*" files,
// which hold caches and secrets. INVALID_ARGUMENT for links and special files and for what the
// checks above refuse; RESOURCE_EXHAUSTED; NOT_FOUND if `directory` is not a directory; INTERNAL if
// a file cannot be read.
absl::StatusOr<std::string> PackTemplate(const std::string& directory,
                                         const TemplateArchiveLimits& limits = {});

}  // namespace coder::archive
