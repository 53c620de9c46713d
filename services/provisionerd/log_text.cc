#include "services/provisionerd/log_text.h"

#include <cstddef>

#include "libs/process/line_splitter.h"

namespace coder::provisionerd {
namespace {

constexpr std::size_t kMaxLineBytes = 1024;
constexpr std::size_t kShortestSecret = 6;

// Length of the UTF-8 sequence at the front, 0 if there is none.
std::size_t SequenceLength(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  const std::size_t length = first < 0x80                     ? 1
                             : first >= 0xC2 && first <= 0xDF ? 2
                             : (first & 0xF0) == 0xE0         ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and values past U+10FFFF.
  if (first == 0xE0 && at(1) < 0xA0) return 0;
  if (first == 0xED && at(1) > 0x9F) return 0;
  if (first == 0xF0 && at(1) < 0x90) return 0;
  if (first == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

std::string Clean(std::string_view line) {
  std::string clean;
  clean.reserve(line.size());
  while (!line.empty()) {
    const std::size_t length = SequenceLength(line);
    if (length == 0) {
      clean += '?';
    } else if (line[0] == '\t') {
      clean += ' ';
    } else if (length > 1 || (line[0] >= 0x20 && line[0] != 0x7F)) {
      clean += line.substr(0, length);
    }
    line.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace

void ForEachLogLine(std::string_view text, const std::function<void(std::string line)>& sink) {
  process::LineSplitter splitter(kMaxLineBytes, [&sink](std::string_view line) {
    std::string clean = Clean(line);
    if (!clean.empty()) sink(std::move(clean));
  });
  splitter.Append(text);
  splitter.Finish();
}

std::string Redact(std::string text, const std::vector<std::string>& secrets) {
  static constexpr std::string_view kInstead = "(sensitive value)";
  for (const std::string& secret : secrets) {
    if (secret.size() < kShortestSecret) continue;
    for (std::size_t at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + kInstead.size())) {
      text.replace(at, secret.size(), kInstead);
    }
  }
  return text;
}

}  // namespace coder::provisionerd
