#include "libs/archive/byte_source.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coder::archive {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";

absl::Status DamagedError(::archive* reader) {
  const char* why = ::archive_error_string(reader);
  return absl::InvalidArgumentError(
      absl::StrCat("read template archive: the gzip data are damaged or cut short (",
                   why == nullptr ? "no detail" : why, "); pack and upload it again"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> ByteSource::Open(std::string_view bytes) {
  std::unique_ptr<ByteSource> source(new ByteSource(bytes));
  if (bytes.substr(0, kGzipMagic.size()) != kGzipMagic) return source;
  source->reader_ = ::archive_read_new();
  ::archive* reader = source->reader_;
  if (reader == nullptr) return absl::ResourceExhaustedError("read template archive: no memory");
  ::archive_entry* entry = nullptr;
  if (::archive_read_support_filter_gzip(reader) != ARCHIVE_OK ||
      ::archive_read_support_format_raw(reader) != ARCHIVE_OK ||
      ::archive_read_open_memory(reader, bytes.data(), bytes.size()) != ARCHIVE_OK ||
      ::archive_read_next_header(reader, &entry) != ARCHIVE_OK) {
    return DamagedError(reader);
  }
  // One for gzip, one for the bytes below it.
  if (::archive_filter_count(reader) > 2) {
    return absl::InvalidArgumentError(
        "read template archive: it is compressed more than once; compress the tar file once");
  }
  return source;
}

ByteSource::~ByteSource() {
  if (reader_ != nullptr) ::archive_read_free(reader_);
}

absl::StatusOr<std::size_t> ByteSource::Read(char* out, std::size_t size) {
  if (reader_ == nullptr) {
    const std::size_t taken = std::min(size, plain_.size());
    if (taken > 0) std::memcpy(out, plain_.data(), taken);
    plain_.remove_prefix(taken);
    return taken;
  }
  std::size_t filled = 0;
  while (filled < size) {
    const la_ssize_t got = ::archive_read_data(reader_, out + filled, size - filled);
    if (got < 0) return DamagedError(reader_);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

}  // namespace coder::archive
