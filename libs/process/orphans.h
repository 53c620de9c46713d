#pragma once

#include <string>

namespace coder::process {

// Makes this process the parent of descendants whose own parent died. Idempotent, any thread.
void BecomeReaper();

// Sends SIGKILL to every process whose environment contains `mark` ("NAME=VALUE"), again until
// none is left, and reaps those that are children of this process. Returns false if some could
// not be ended within five seconds.
bool EndMarked(const std::string& mark);

}  // namespace coder::process
