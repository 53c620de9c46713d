#include "libs/archive/tar_stream.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/archive/entry_names.h"

namespace coder::archive {
namespace {

constexpr std::size_t kBlock = 512;
// Of one extended header: a long name and a few records.
constexpr std::uint64_t kMaxExtensionBytes = 64 << 10;
constexpr std::uint64_t kExtensionBytesPerEntry = 1024;
// Extended headers come in front of entries; more of them than this per entry are padding.
constexpr std::uint64_t kHeadersPerEntry = 3;

absl::Status Refuse(const std::string& name, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("check template archive: entry ", Quoted(name), ": ", rule));
}

absl::Status CutShort() {
  return absl::InvalidArgumentError(
      "check template archive: the tar file ends in the middle; pack and upload it again");
}

// A fixed-width text field ends at its first NUL.
std::string TextField(const char* field, std::size_t width) {
  return std::string(field, ::strnlen(field, width));
}

std::optional<std::uint64_t> OctalField(const char* field, std::size_t width) {
  std::string_view text(field, width);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

const char* WhatIs(char type) {
  switch (type) {
    case '1':
      return "it is a hard link; pack a copy of the file instead";
    case '2':
      return "it is a symbolic link; pack the file it points to instead";
    case '3':
    case '4':
      return "it is a device; remove it";
    case '6':
      return "it is a FIFO; remove it";
    case 'S':
      return "it is a sparse file; pack it without --sparse";
    default:
      return "it is neither a file nor a directory; remove it";
  }
}

}  // namespace

struct TarStream::Header {
  char block[kBlock];

  std::string Name() const {
    const std::string name = TextField(block, 100);
    const bool ustar = std::memcmp(block + 257, "ustar\0", 6) == 0;
    const std::string prefix = ustar ? TextField(block + 345, 155) : "";
    return prefix.empty() ? name : absl::StrCat(prefix, "/", name);
  }
  char Type() const { return block[156]; }
  std::optional<std::uint64_t> Size() const { return OctalField(block + 124, 12); }
  std::optional<std::uint64_t> Mode() const { return OctalField(block + 100, 8); }
  bool IsEnd() const {
    return std::all_of(block, block + kBlock, [](char c) { return c == 0; });
  }
  bool ChecksumHolds() const {
    std::uint64_t sum = 8 * ' ';
    for (std::size_t i = 0; i < kBlock; ++i) {
      if (i < 148 || i >= 156) sum += static_cast<unsigned char>(block[i]);
    }
    return OctalField(block + 148, 8) == sum;
  }
};

absl::Status TarStream::ReadExact(char* out, std::size_t size) {
  absl::StatusOr<std::size_t> got = source_.Read(out, size);
  if (!got.ok()) return got.status();
  return *got == size ? absl::OkStatus() : CutShort();
}

absl::StatusOr<bool> TarStream::ReadHeader(Header& header) {
  char skipped[kBlock];
  if (absl::Status read = ReadExact(skipped, padding_); !read.ok()) return read;
  padding_ = 0;
  if (absl::Status read = ReadExact(header.block, kBlock); !read.ok()) return read;
  if (header.IsEnd()) return false;
  if (!header.ChecksumHolds()) {
    return absl::InvalidArgumentError(
        "check template archive: a tar header's checksum is wrong; upload a tar or tar.gz file, "
        "for example with coderctl");
  }
  return true;
}

absl::Status TarStream::CountHeader(const std::string& name) {
  if (++headers_ <= kHeadersPerEntry * limits_.max_entries) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("check template archive: entry ", Quoted(name), ": there are more than ",
                   kHeadersPerEntry * limits_.max_entries, " headers; remove files"));
}

absl::StatusOr<std::string> TarStream::ReadExtension(const Header& header, std::uint64_t size) {
  extension_bytes_ += std::min(size, kMaxExtensionBytes);
  if (size > kMaxExtensionBytes ||
      extension_bytes_ > kMaxExtensionBytes + kExtensionBytesPerEntry * limits_.max_entries) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "check template archive: entry ", Quoted(header.Name()), ": its extended header of ", size,
        " bytes, or all of them together, are too large; pack without extended attributes"));
  }
  std::string text(size, '\0');
  if (absl::Status read = ReadExact(text.data(), size); !read.ok()) return read;
  padding_ = (kBlock - size % kBlock) % kBlock;
  return text;
}

// Records are "<length> <key>=<value>\n", the length counting itself.
absl::Status TarStream::ApplyPax(const std::string& records, bool global, Override& override) {
  const auto malformed = [] {
    return absl::InvalidArgumentError(
        "check template archive: an extended header is malformed; pack and upload it again");
  };
  std::string_view rest = records;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    std::uint64_t length = 0;
    if (space == std::string_view::npos ||
        !absl::SimpleAtoi(absl::string_view(rest.data(), space), &length) || length > rest.size() ||
        length < space + 3 || rest[length - 1] != '\n') {
      return malformed();
    }
    const std::string_view record = rest.substr(space + 1, length - space - 2);
    rest.remove_prefix(length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return malformed();
    const std::string_view key = record.substr(0, equals);
    const std::string value(record.substr(equals + 1));
    const bool decides = key == "path" || key == "size" || key == "linkpath";
    if (key.rfind("GNU.sparse", 0) == 0) return Refuse(value, WhatIs('S'));
    if (global && decides) {
      return Refuse(value, "a global header renames or resizes entries; pack without it");
    }
    if (key == "path") override.name = value;
    std::uint64_t size = 0;
    if (key == "size" && !absl::SimpleAtoi(value, &size)) return malformed();
    if (key == "size") override.size = size;
  }
  return absl::OkStatus();
}

absl::StatusOr<TarEntry> TarStream::EntryOf(const Header& header, const Override& override) {
  TarEntry entry;
  entry.name = override.name.value_or(header.Name());
  const std::optional<std::uint64_t> size = header.Size(), mode = header.Mode();
  if (!size || !mode) {
    return Refuse(entry.name, "its size or mode is not an octal number; pack it as ustar or pax");
  }
  const char type = header.Type();
  entry.is_directory =
      type == '5' || (type == '\0' && !entry.name.empty() && entry.name.back() == '/');
  if (type != '0' && type != '\0' && type != '5') return Refuse(entry.name, WhatIs(type));
  if ((*mode & 07000) != 0) {
    return Refuse(entry.name, "it has a set-user-id, set-group-id or sticky bit; chmod it away");
  }
  if (override.size && *override.size != *size && *size != 0) {
    return Refuse(entry.name, "its two headers give different sizes; pack it again");
  }
  entry.size = override.size.value_or(*size);
  entry.is_executable = (*mode & 0111) != 0;
  if (entry.is_directory && entry.size != 0) {
    return Refuse(entry.name, "it is a directory with content; pack it again");
  }
  return entry;
}

absl::StatusOr<std::optional<TarEntry>> TarStream::Next() {
  Override override;
  while (true) {
    Header header;
    absl::StatusOr<bool> more = ReadHeader(header);
    if (!more.ok()) return more.status();
    if (!*more) return std::optional<TarEntry>();
    if (absl::Status counted = CountHeader(header.Name()); !counted.ok()) return counted;
    const char type = header.Type();
    if (type != 'x' && type != 'g' && type != 'L') {
      absl::StatusOr<TarEntry> entry = EntryOf(header, override);
      if (!entry.ok()) return entry.status();
      content_left_ = entry->size;
      padding_ = (kBlock - entry->size % kBlock) % kBlock;
      return std::optional<TarEntry>(*std::move(entry));
    }
    const std::optional<std::uint64_t> size = header.Size();
    if (!size) return Refuse(header.Name(), "its size is not an octal number; pack it again");
    absl::StatusOr<std::string> text = ReadExtension(header, *size);
    if (!text.ok()) return text.status();
    if (type == 'L') {
      if (!text->empty() && text->back() == '\0') text->pop_back();
      override.name = *std::move(text);
      continue;
    }
    if (absl::Status read = ApplyPax(*text, type == 'g', override); !read.ok()) return read;
  }
}

absl::StatusOr<std::size_t> TarStream::ReadContent(char* out, std::size_t size) {
  const std::size_t wanted = std::min<std::uint64_t>(size, content_left_);
  if (absl::Status read = ReadExact(out, wanted); !read.ok()) return read;
  content_left_ -= wanted;
  return wanted;
}

}  // namespace coder::archive
