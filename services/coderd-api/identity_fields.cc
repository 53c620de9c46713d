#include "services/coderd-api/identity_fields.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace coder::api {
namespace {

constexpr size_t kMaxFullNameLength = 128;
constexpr size_t kMaxDescriptionLength = 1024;
constexpr size_t kMaxLabelLength = 64;

bool HasControl(absl::string_view value) {
  return std::any_of(value.begin(), value.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

}  // namespace

absl::Status CheckFullName(absl::string_view field, absl::string_view value) {
  if (value.size() <= kMaxFullNameLength && !HasControl(value)) return absl::OkStatus();
  return InvalidField(field, "is not at most 128 characters without control characters");
}

absl::Status CheckDescription(absl::string_view field, absl::string_view value) {
  if (value.size() <= kMaxDescriptionLength && value.find('\0') == absl::string_view::npos) {
    return absl::OkStatus();
  }
  return InvalidField(field, "is not at most 1,024 characters without a zero byte");
}

absl::Status CheckLabel(absl::string_view field, absl::string_view value) {
  const bool printable = std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isprint(static_cast<unsigned char>(c));
  });
  if (!value.empty() && value.size() <= kMaxLabelLength && printable && value.front() != ' ' &&
      value.back() != ' ') {
    return absl::OkStatus();
  }
  return InvalidField(field, "is not 1 to 64 printable characters without a space at either end");
}

}  // namespace coder::api
