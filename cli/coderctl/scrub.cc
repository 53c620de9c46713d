#include "cli/coderctl/scrub.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"

namespace coder::cli {
namespace {

constexpr char kMask[] = "***";
// Of the random part of cpk_ and cst_ keys, and of API keys as libs/auth/token.h has them.
constexpr size_t kKeyLength = 43;
constexpr size_t kApiKeyId = 10;
constexpr size_t kApiKeySecret = 22;

bool IsWord(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool IsNameChar(char c) { return IsWord(c) || c == '_' || c == '-' || c == '.'; }

size_t WordEnd(const std::string& text, size_t at) {
  while (at < text.size() && IsWord(text[at])) ++at;
  return at;
}

// The length of a token that begins at `at`, which begins a word; 0 for none.
size_t TokenLength(const std::string& text, size_t at) {
  for (const char* prefix : {"cpk_", "cst_"}) {
    if (text.compare(at, 4, prefix) != 0) continue;
    const size_t end = WordEnd(text, at + 4);
    if (end - at - 4 == kKeyLength) return end - at;
  }
  const size_t id = WordEnd(text, at);
  if (id - at != kApiKeyId || id >= text.size() || text[id] != '-') return 0;
  const size_t end = WordEnd(text, id + 1);
  return end - id - 1 == kApiKeySecret ? end - at : 0;
}

std::string WithoutTokens(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool begins = IsWord(text[at]) && (at == 0 || !IsWord(text[at - 1]));
    const size_t length = begins ? TokenLength(text, at) : 0;
    if (length > 0) {
      out += kMask;
      at += length;
    } else {
      out.push_back(text[at++]);
    }
  }
  return out;
}

// postgres://user:password@host
std::string WithoutUrlPasswords(const std::string& text) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const size_t begin = at + 3;
    const size_t end = std::min(text.find_first_of(" \t\n\"'<>", begin), text.size());
    const size_t host = text.rfind('@', end);
    const size_t colon = text.find(':', begin);
    if (begin < done || host == std::string::npos || host < begin || host >= end || colon >= host)
      continue;
    out.append(text, done, colon + 1 - done);
    out += kMask;
    done = host;
  }
  return out + text.substr(done);
}

std::string WithoutPrivateKeys(const std::string& text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kEnd = "-----END ";
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(kBegin); at != std::string::npos; at = text.find(kBegin, at + 1)) {
    const size_t title = std::min(text.find("-----", at + kBegin.size()), text.size());
    if (text.substr(at, title - at).find("PRIVATE KEY") == std::string::npos) continue;
    if (at < done) continue;
    out.append(text, done, at - done);
    out += kMask;
    const size_t end = text.find(kEnd, at);
    // One that is cut off is secret to the end.
    done = end == std::string::npos ? text.size()
                                    : std::min(text.find("-----", end + kEnd.size()), text.size());
    done = std::min(done + 5, text.size());
  }
  return out + text.substr(done);
}

bool NamesSecret(const std::string& name) {
  const std::string lower =
      absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"-", "_"}, {".", "_"}});
  for (const char* word : {"password", "passwd", "secret", "token", "credential", "api_key",
                           "apikey", "private_key", "authorization"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

// From behind a name to where its value begins; npos when none is given to it.
size_t ValueAfter(const std::string& text, size_t at) {
  while (at < text.size() && (text[at] == '"' || text[at] == '\'' || text[at] == '\\')) ++at;
  while (at < text.size() && text[at] == ' ') ++at;
  if (at >= text.size() || (text[at] != ':' && text[at] != '=')) return std::string::npos;
  ++at;
  while (at < text.size() && text[at] == ' ') ++at;
  return at;
}

// Past the value that begins at `at`: a quoted text (the quotes may be escaped themselves), or what
// comes before a space or a separator.
size_t ValueEnd(const std::string& text, size_t at) {
  size_t open = at;
  while (open < text.size() && text[open] == '\\') ++open;
  const bool quoted = open < text.size() && (text[open] == '"' || text[open] == '\'');
  if (!quoted) return std::min(text.find_first_of(" \t\n,;}])\"'", at), text.size());
  const std::string quote = text.substr(at, open + 1 - at);
  size_t close = text.find(quote, open + 1);
  while (close != std::string::npos && quote.size() == 1 && text[close - 1] == '\\') {
    close = text.find(quote, close + 1);
  }
  return close == std::string::npos ? text.size() : close + quote.size();
}

std::string WithoutNamedSecrets(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (!IsNameChar(text[at])) {
      out.push_back(text[at++]);
      continue;
    }
    size_t end = at;
    while (end < text.size() && IsNameChar(text[end])) ++end;
    const std::string name = text.substr(at, end - at);
    out += name;
    at = end;
    const std::string lower = absl::AsciiStrToLower(name);
    if ((lower == "bearer" || lower == "basic") && at < text.size() && text[at] == ' ') {
      out.push_back(' ');
      out += kMask;
      at = ValueEnd(text, at + 1);
      continue;
    }
    const size_t value = NamesSecret(name) ? ValueAfter(text, at) : std::string::npos;
    if (value == std::string::npos || value >= text.size() || text[value] == '\n') continue;
    const size_t value_end = ValueEnd(text, value);
    const std::string scheme = absl::AsciiStrToLower(text.substr(value, value_end - value));
    // "authorization: Bearer x": the word before the credential is not the credential.
    if (scheme == "bearer" || scheme == "basic") continue;
    const bool quoted = text[value] == '"' || text[value] == '\'';
    out.append(text, at, value - at);
    if (quoted) out.push_back(text[value]);
    out += kMask;
    if (quoted) out.push_back(text[value]);
    at = std::max(value_end, value);
  }
  return out;
}

}  // namespace

std::string Scrubbed(const std::string& text, const std::vector<std::string>& known) {
  std::string out = text;
  for (const std::string& secret : known) {
    if (!secret.empty()) out = absl::StrReplaceAll(out, {{secret, kMask}});
  }
  return WithoutNamedSecrets(WithoutPrivateKeys(WithoutUrlPasswords(WithoutTokens(out))));
}

}  // namespace coder::cli
