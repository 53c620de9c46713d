#pragma once

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::schedule {

/// How long after its nominal times a workspace starts, so that a whole team's nine o'clock is not
/// one moment: whole seconds from zero to below `window`, the same for the same id and window
/// wherever and whenever it is asked, and even over many ids. Zero for a window below a second.
/// `workspace_id` is the id as text.
absl::Duration SpreadOffset(absl::string_view workspace_id, absl::Duration window);

}  // namespace coder::schedule
