#include "libs/lifecycle/names.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

constexpr size_t kShownBytes = 80;

absl::Status Violation(absl::string_view field, absl::string_view description) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(absl::StrCat("check ", field, ": ", description)), field,
      description);
}

absl::Status Refused(absl::string_view field, absl::string_view value, absl::string_view cause,
                     absl::string_view remedy) {
  // Escaped: the value may hold line ends and what terminals obey.
  return Violation(field, absl::StrCat("\"", absl::CHexEscape(value.substr(0, kShownBytes)), "\" ",
                                       cause, "; ", remedy));
}

// Runs of letters and digits with one of `separators` between them.
bool IsSeparatedRuns(absl::string_view value, absl::string_view separators) {
  bool after_run = false;
  for (char c : value) {
    if (absl::ascii_isalnum(c)) {
      after_run = true;
    } else if (after_run && separators.find(c) != absl::string_view::npos) {
      after_run = false;
    } else {
      return false;
    }
  }
  return after_run;
}

size_t LengthByFirstByte(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

// The number of bytes of the printable UTF-8 character that `text` begins with; 0 when there is
// none.
size_t PrintableLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const size_t length = LengthByFirstByte(first);
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (length == 1) return absl::ascii_iscntrl(first) ? 0 : 1;
  const unsigned char second = byte(1);
  // C1 controls, overlong forms, surrogates, and what lies past U+10FFFF.
  const bool excluded = (first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
                        (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                        (first == 0xf4 && second > 0x8f);
  return excluded ? 0 : length;
}

bool IsPrintableUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = PrintableLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool IsDomain(absl::string_view domain) {
  const auto is_label = [](absl::string_view label) {
    return label.size() <= 63 && !label.empty() && absl::ascii_isalnum(label.front()) &&
           absl::ascii_isalnum(label.back()) && std::all_of(label.begin(), label.end(), [](char c) {
             return absl::ascii_isalnum(c) || c == '-';
           });
  };
  for (absl::string_view label : absl::StrSplit(domain, '.')) {
    if (!is_label(label)) return false;
  }
  return true;
}

bool IsLocalPart(absl::string_view local) {
  if (local.empty() || local.size() > 64) return false;
  for (absl::string_view atom : absl::StrSplit(local, '.')) {
    if (atom.empty()) return false;
  }
  return std::all_of(local.begin(), local.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-/=?^_`{|}~.", c);
  });
}

}  // namespace

absl::Status CheckName(absl::string_view field, absl::string_view value) {
  constexpr absl::string_view kRemedy =
      "use 1 to 32 letters and digits, with single hyphens between them";
  if (value.empty()) return Refused(field, value, "is empty", kRemedy);
  if (value.size() > kMaxNameLength) {
    return Refused(field, value, absl::StrCat("is ", value.size(), " characters long"), kRemedy);
  }
  if (!IsSeparatedRuns(value, "-")) {
    return Refused(field, value, "has a character or a hyphen where none may be", kRemedy);
  }
  if (absl::EqualsIgnoreCase(value, "new") || absl::EqualsIgnoreCase(value, "create")) {
    return Refused(field, value, "is reserved", "choose another name");
  }
  return absl::OkStatus();
}

absl::Status CheckVersionName(absl::string_view field, absl::string_view value) {
  constexpr absl::string_view kRemedy =
      "use 1 to 64 letters and digits, with a single '_', '.' or '-' between them";
  if (value.empty()) return Refused(field, value, "is empty", kRemedy);
  if (value.size() > kMaxVersionNameLength) {
    return Refused(field, value, absl::StrCat("is ", value.size(), " characters long"), kRemedy);
  }
  if (!IsSeparatedRuns(value, "_.-")) {
    return Refused(field, value, "has a character or a separator where none may be", kRemedy);
  }
  return absl::OkStatus();
}

absl::Status CheckDisplayName(absl::string_view field, absl::string_view value) {
  if (value.size() > kMaxDisplayNameLength) {
    return Refused(field, value, absl::StrCat("is ", value.size(), " bytes long"),
                   "use at most 64");
  }
  if (!IsPrintableUtf8(value)) {
    return Refused(field, value, "is not printable UTF-8", "leave out control characters");
  }
  if (absl::StripAsciiWhitespace(value) != value) {
    return Refused(field, value, "begins or ends with white space", "remove it");
  }
  return absl::OkStatus();
}

absl::Status CheckEmail(absl::string_view field, absl::string_view value) {
  const size_t at = value.rfind('@');
  const bool valid = value.size() <= kMaxEmailLength && at != absl::string_view::npos &&
                     IsLocalPart(value.substr(0, at)) && IsDomain(value.substr(at + 1));
  if (valid) return absl::OkStatus();
  return Refused(field, value, "is not an email address",
                 "write it as name@example.com, at most 254 characters");
}

absl::Status CheckPassword(absl::string_view field, absl::string_view value) {
  if (value.size() < kMinPasswordLength || value.size() > kMaxPasswordLength) {
    return Violation(field,
                     absl::StrCat("the password is ", value.size(), " bytes long; use 8 to 64"));
  }
  if (std::all_of(value.begin(), value.end(), [&](char c) { return c == value[0]; })) {
    return Violation(field, "the password repeats one character; choose one harder to guess");
  }
  return absl::OkStatus();
}

}  // namespace coder::lifecycle
