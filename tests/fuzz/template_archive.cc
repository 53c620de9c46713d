#include "libs/archive/template_archive.h"

#include <cstddef>
#include <cstdint>

#include "tests/fuzz/requirement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coder;
  const archive::TemplateArchiveLimits limits = {.max_archive_bytes = 1 << 16,
                                                 .max_extracted_bytes = 1 << 16,
                                                 .max_entries = 20,
                                                 .max_path_bytes = 64,
                                                 .max_depth = 4};
  const auto summary =
      archive::CheckTemplateArchive({reinterpret_cast<const char*>(data), size}, limits);
  if (!summary.ok()) {
    const bool typed = summary.status().code() == absl::StatusCode::kInvalidArgument ||
                       summary.status().code() == absl::StatusCode::kResourceExhausted;
    fuzz::Require(typed, "an archive is refused as invalid or too large");
    return 0;
  }
  fuzz::Require(summary->extracted_bytes <= limits.max_extracted_bytes, "bytes are bounded");
  fuzz::Require(summary->files + summary->directories <= limits.max_entries, "entries are bounded");
  return 0;
}
