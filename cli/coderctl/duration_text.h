#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coder::cli {

/// Reads "90m", "8h" or "1h30m". INVALID_ARGUMENT for anything else, or a duration that is not
/// positive.
absl::StatusOr<absl::Duration> ParseDurationText(const std::string& text);

}  // namespace coder::cli
