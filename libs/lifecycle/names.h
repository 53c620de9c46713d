#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coder::lifecycle {

inline constexpr size_t kMaxNameLength = 32;
inline constexpr size_t kMaxVersionNameLength = 64;
inline constexpr size_t kMaxDisplayNameLength = 64;
inline constexpr size_t kMaxEmailLength = 254;
/// A password is 8 to 64 bytes: short ones are guessed, and long ones make hashing slow for free.
inline constexpr size_t kMinPasswordLength = 8;
inline constexpr size_t kMaxPasswordLength = 64;

// The rules below return OK or INVALID_ARGUMENT with a violation of `field`; the message names the
// field, the value (never a password) and what would be accepted. Lengths are in bytes.

/// Names of organizations, users, workspaces and templates: at most 32 letters, digits and single
/// hyphens, beginning and ending with a letter or digit; not "new" or "create" in any case, which
/// would shadow pages.
absl::Status CheckName(absl::string_view field, absl::string_view value);

/// Names of template versions: at most 64 letters and digits with a single '_', '.' or '-' between
/// runs of them.
absl::Status CheckVersionName(absl::string_view field, absl::string_view value);

/// Display names: empty, or at most 64 bytes of valid UTF-8 without control characters and without
/// white space at either end.
absl::Status CheckDisplayName(absl::string_view field, absl::string_view value);

/// An address of the form local@domain, at most 254 bytes; whether it exists is not known here.
absl::Status CheckEmail(absl::string_view field, absl::string_view value);

/// A password of 8 to 64 bytes that is not one byte repeated.
absl::Status CheckPassword(absl::string_view field, absl::string_view value);

}  // namespace coder::lifecycle
