#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "coder/events/v1/build_event.pb.h"
#include "libs/events/resume_token.h"

namespace coder::bench {

// The events all benchmarks use: number `index` (from 0) is version index / 100 + 1 of workspace
// index % 100 and carries index + 1 as its build number, so that a reader knows of every position
// of a log that holds only them what has to stand there.
inline constexpr int64_t kWorkspaces = 100;
inline constexpr int kEventBytes = 256;

std::string WorkspaceIdOf(int64_t index);

// The serialised BuildEvent, exactly kEventBytes long. `index` is below two million.
std::string MakeEvent(int64_t index, absl::Time time);

// Whether `event` is the one that belongs at `position` of such a log.
bool Belongs(const coder::events::v1::BuildEvent& event, int64_t position);

// The resume token after `position` of such a log.
coder::events::ResumeToken TokenAfter(int64_t epoch, int64_t position);

}  // namespace coder::bench
