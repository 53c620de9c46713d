#include "cli/coderctl/duration_text.h"

#include "absl/strings/str_cat.h"

namespace coder::cli {

absl::StatusOr<absl::Duration> ParseDurationText(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "read duration '", text, "': not positive or not of the form 90m, 8h or 1h30m"));
  }
  return duration;
}

}  // namespace coder::cli
