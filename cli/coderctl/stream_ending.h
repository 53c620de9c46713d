#pragma once

#include "absl/status/status.h"

namespace coder::cli {

/// Whether a watch that ended so goes on from its last token.
bool IsResumable(const absl::Status& status);

}  // namespace coder::cli
