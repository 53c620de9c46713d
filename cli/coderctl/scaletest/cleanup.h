#pragma once

#include <string>

#include "absl/status/status.h"
#include "cli/coderctl/scaletest/rig.h"

namespace coder::cli::scaletest {

/// Deletes every workspace and then every user that load tests made: those of `run`, or of all runs
/// when it is empty. What is there is asked of the deployment, so that nothing a lost answer left
/// behind is forgotten; builds under way are canceled first. ABORTED, counting what is left and
/// naming the first error; CANCELLED after a second interrupt.
absl::Status Cleanup(Rig& rig, const std::string& run);

}  // namespace coder::cli::scaletest
