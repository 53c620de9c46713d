#include "libs/archive/entry_names.h"

#include <locale.h>
#include <wctype.h>

#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace coder::archive {
namespace {

constexpr std::size_t kMaxQuotedBytes = 100;

absl::Status Refuse(const std::string& name, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("check template archive: entry ", Quoted(name), ": ", rule));
}

// The code points of UTF-8 text; nothing if it is not UTF-8.
std::optional<std::vector<char32_t>> Decode(const std::string& text) {
  std::vector<char32_t> points;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) return std::nullopt;
    char32_t point = length == 1 ? first : first & (0x7F >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return std::nullopt;
      point = (point << 6) | (byte & 0x3F);
    }
    const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return std::nullopt;
    points.push_back(point);
    i += length;
  }
  return points;
}

// Characters that let one visible name be written in two ways, or not be seen at all.
bool IsInvisibleOrCombining(char32_t point) {
  return (point >= 0x0300 && point <= 0x036F) || (point >= 0x1100 && point <= 0x11FF) ||
         (point >= 0x1AB0 && point <= 0x1AFF) || (point >= 0x1DC0 && point <= 0x1DFF) ||
         (point >= 0x200B && point <= 0x200F) || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2060 && point <= 0x206F) || (point >= 0x20D0 && point <= 0x20FF) ||
         (point >= 0xFE00 && point <= 0xFE0F) || (point >= 0xFE20 && point <= 0xFE2F) ||
         point == 0x00AD || point == 0xFEFF;
}

bool IsControl(char32_t point) { return point < 0x20 || (point >= 0x7F && point <= 0x9F); }

absl::Status CheckCharacters(const std::string& name) {
  const auto points = Decode(name);
  if (!points) return Refuse(name, "the name is not UTF-8; rename it");
  for (const char32_t point : *points) {
    if (point == 0) return Refuse(name, "the name contains a NUL byte; rename it");
    if (IsControl(point)) return Refuse(name, "the name contains a control character; rename it");
    if (point == '\\') return Refuse(name, "the name contains a backslash; use / between parts");
    if (IsInvisibleOrCombining(point)) {
      return Refuse(name,
                    "the name contains combining or invisible characters; write it with composed "
                    "characters (NFC)");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPart(const std::string& name, absl::string_view part) {
  if (part == "..")
    return Refuse(name, "the name leads out of the template with \"..\"; remove it");
  if (part == "." || part.empty()) {
    return Refuse(name, "the name has an empty or \".\" part; write the plain path");
  }
  return absl::OkStatus();
}

// Upper and lower case made equal, as file systems do that ignore case.
std::string Fold(const std::string& name) {
  static const ::locale_t kLocale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string folded;
  const std::vector<char32_t> points = Decode(name).value_or(std::vector<char32_t>());
  for (const char32_t point : points) {
    // By way of upper case, so that letters with two lower-case forms meet (final sigma).
    const ::wint_t upper = kLocale == nullptr ? ::towupper(point) : ::towupper_l(point, kLocale);
    const ::wint_t lower = kLocale == nullptr ? ::towlower(upper) : ::towlower_l(upper, kLocale);
    // Any injective spelling will do: a value never starts inside another one.
    if (lower < 0x80) {
      folded += static_cast<char>(lower);
    } else {
      absl::StrAppend(&folded, "\x01", absl::Hex(static_cast<std::uint32_t>(lower)), ";");
    }
  }
  return folded;
}

}  // namespace

std::string Quoted(const std::string& name) {
  const bool cut = name.size() > kMaxQuotedBytes;
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, kMaxQuotedBytes)), cut ? "…\"" : "\"");
}

absl::StatusOr<std::string> EntryNames::Add(const std::string& written, bool is_directory) {
  if (written.size() > limits_.max_path_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: entry ", Quoted(written), ": the name has ",
                     written.size(), " bytes, more than ", limits_.max_path_bytes, "; shorten it"));
  }
  if (written.empty()) return Refuse(written, "the name is empty; pack the template again");
  if (absl::Status checked = CheckCharacters(written); !checked.ok()) return checked;
  if (written[0] == '/') return Refuse(written, "the name is absolute; pack relative paths");
  std::string name = written;
  if (name.rfind("./", 0) == 0) name.erase(0, 2);
  if (is_directory && !name.empty() && name.back() == '/') name.pop_back();
  if (is_directory && (name.empty() || name == ".")) return std::string();
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  if (parts.size() > limits_.max_depth) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: entry ", Quoted(name), ": it lies ", parts.size(),
                     " levels deep, more than ", limits_.max_depth, "; use fewer directories"));
  }
  std::string path;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (absl::Status checked = CheckPart(written, parts[i]); !checked.ok()) return checked;
    absl::StrAppend(&path, i == 0 ? "" : "/", parts[i]);
    const Kind kind = i + 1 < parts.size() ? Kind::kImpliedDirectory
                      : is_directory       ? Kind::kDirectory
                                           : Kind::kFile;
    if (absl::Status remembered = Remember(path, kind); !remembered.ok()) return remembered;
  }
  return name;
}

absl::Status EntryNames::Remember(const std::string& name, Kind kind) {
  const auto [it, fresh] = seen_.emplace(Fold(name), Seen{name, kind});
  if (seen_.size() > limits_.max_entries) {
    return absl::ResourceExhaustedError(
        absl::StrCat("check template archive: entry ", Quoted(name), ": there are more than ",
                     limits_.max_entries, " files and directories; remove what is not needed"));
  }
  if (fresh) return absl::OkStatus();
  Seen& before = it->second;
  if (before.name != name) {
    return Refuse(name, absl::StrCat("it differs from ", Quoted(before.name),
                                     " only in case; rename one of them"));
  }
  const bool directory = kind != Kind::kFile, was_directory = before.kind != Kind::kFile;
  if (directory != was_directory) {
    return Refuse(name, "it is both a file and a directory; rename one of them");
  }
  if (kind == Kind::kImpliedDirectory) return absl::OkStatus();
  if (before.kind != Kind::kImpliedDirectory) {
    return Refuse(name, "it is there twice; keep one of them");
  }
  before.kind = kind;
  return absl::OkStatus();
}

}  // namespace coder::archive
