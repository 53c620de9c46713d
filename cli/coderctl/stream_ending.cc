#include "cli/coderctl/stream_ending.h"

#include "libs/status/error_reason.h"

namespace coder::cli {

bool IsResumable(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return status.code() == absl::StatusCode::kUnavailable ||
         (status.code() == absl::StatusCode::kCancelled && !reason) ||
         (reason && reason->reason == "FELL_BEHIND");
}

}  // namespace coder::cli
