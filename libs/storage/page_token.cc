#include "libs/storage/page_token.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::storage {
namespace {

constexpr char kFormat = '1';
constexpr size_t kHashDigits = 16;

// The same on every replica and in every release, unlike absl's hash.
uint64_t Fnv1a(absl::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char byte : text) {
    hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211u;
  }
  return hash;
}

std::string HashOf(absl::string_view filter) {
  return absl::StrCat(absl::Hex(Fnv1a(filter), absl::kZeroPad16));
}

absl::Status Refused(absl::string_view why) {
  return status::WithFieldViolation(
      absl::InvalidArgumentError(
          absl::StrCat("read the page token: ", why,
                       "; send the next_page_token of the page before, unchanged")),
      "page_token", why);
}

}  // namespace

int ClampPageSize(int requested) {
  return requested == 0 ? kDefaultPageSize : std::clamp(requested, 1, kMaxPageSize);
}

std::string EncodePageToken(absl::string_view filter, absl::string_view last_key) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(absl::string_view(&kFormat, 1), HashOf(filter), last_key));
}

absl::StatusOr<std::string> DecodePageToken(absl::string_view filter, absl::string_view token) {
  if (token.empty()) return std::string();
  std::string text;
  if (!absl::WebSafeBase64Unescape(token, &text) || text.size() <= 1 + kHashDigits ||
      text[0] != kFormat) {
    return Refused("it is not one this server gave");
  }
  if (text.substr(1, kHashDigits) != HashOf(filter)) {
    return Refused("it belongs to a list with another filter");
  }
  return text.substr(1 + kHashDigits);
}

}  // namespace coder::storage
