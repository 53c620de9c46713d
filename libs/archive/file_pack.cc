#include "libs/archive/file_pack.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace coder::archive {
namespace {

struct CloseWriter {
  void operator()(::archive* writer) const { ::archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(::archive_entry* entry) const { ::archive_entry_free(entry); }
};

la_ssize_t AppendTo(::archive*, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

bool Write(::archive* writer, const MemoryFile& file) {
  const std::unique_ptr<::archive_entry, FreeEntry> entry(::archive_entry_new());
  ::archive_entry_set_pathname(entry.get(), file.name.c_str());
  ::archive_entry_set_filetype(entry.get(), AE_IFREG);
  ::archive_entry_set_perm(entry.get(), 0600);
  ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(file.content.size()));
  ::archive_entry_set_mtime(entry.get(), 0, 0);
  const int wrote = ::archive_write_header(writer, entry.get());
  if (wrote != ARCHIVE_OK && wrote != ARCHIVE_WARN) return false;
  return ::archive_write_data(writer, file.content.data(), file.content.size()) >= 0;
}

}  // namespace

absl::StatusOr<std::string> PackFiles(const std::vector<MemoryFile>& files) {
  std::string packed;
  const std::unique_ptr<::archive, CloseWriter> writer(::archive_write_new());
  bool fine = writer != nullptr && ::archive_write_set_format_gnutar(writer.get()) == ARCHIVE_OK &&
              ::archive_write_add_filter_gzip(writer.get()) == ARCHIVE_OK &&
              ::archive_write_set_options(writer.get(), "gzip:!timestamp") == ARCHIVE_OK &&
              ::archive_write_open(writer.get(), &packed, nullptr, AppendTo, nullptr) == ARCHIVE_OK;
  for (const MemoryFile& file : files) fine = fine && Write(writer.get(), file);
  if (fine && ::archive_write_close(writer.get()) == ARCHIVE_OK) return packed;
  return absl::InternalError(absl::StrCat(
      "pack ", files.size(),
      " files: ", writer == nullptr ? "no memory" : ::archive_error_string(writer.get())));
}

}  // namespace coder::archive
