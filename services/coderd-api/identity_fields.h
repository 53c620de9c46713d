#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {

// Each returns OK or INVALID_ARGUMENT with a violation of `field`. Lengths are in bytes.

/// A person's name: at most 128 bytes of valid UTF-8 without control characters; may be empty.
absl::Status CheckFullName(absl::string_view field, absl::string_view value);

/// A description: at most 1,024 bytes of valid UTF-8 without a zero byte; may be empty.
absl::Status CheckDescription(absl::string_view field, absl::string_view value);

/// What people call a token or a key: 1 to 64 bytes of printable ASCII without a space at either
/// end.
absl::Status CheckLabel(absl::string_view field, absl::string_view value);

}  // namespace coder::api
