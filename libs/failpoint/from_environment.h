#pragma once

namespace coder::failpoint {

// Opens the board that CODER_FAILPOINTS names, if it is set, and warns of it in the log. False: it
// is set and cannot be opened; the log says why. Called once, when the log is configured and before
// threads start.
bool OpenFromEnvironment();

}  // namespace coder::failpoint
