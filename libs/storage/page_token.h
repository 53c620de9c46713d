#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coder::storage {

inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 500;

/// The rows a page may hold: the default for 0, else `requested` clamped to 1 through the maximum.
int ClampPageSize(int requested);

/// An opaque token for the page after the row whose sort key is `last_key`, good only for a list
/// made with the same `filter`, a text that holds everything the list is narrowed and ordered by.
std::string EncodePageToken(absl::string_view filter, absl::string_view last_key);

/// The sort key in `token`; empty for an empty token, which means the first page.
/// INVALID_ARGUMENT, with a violation of `page_token`, for a text that is no token or that belongs
/// to another filter.
absl::StatusOr<std::string> DecodePageToken(absl::string_view filter, absl::string_view token);

}  // namespace coder::storage
