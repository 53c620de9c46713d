#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "libs/lifecycle/decision.h"
#include "libs/lifecycle/ids.h"

namespace coder::lifecycle {

/// A workspace to which something may be due.
struct LifecycleCandidate {
  WorkspaceId workspace_id;
  LifecycleSnapshot snapshot;
};

/// Something that was found due: an action, or a nominal autostart to record as unused.
struct LifecycleProposal {
  WorkspaceId workspace_id;
  LifecycleKind kind = LifecycleKind::kAutostart;
  absl::Time nominal_time;
  /// From 1.
  int32_t attempt = 1;
};

/// How a nominal time ended; kNotDue is the answer where nothing is recorded.
enum class LifecycleOutcome : uint8_t { kApplied, kSkipped, kMissed, kNotDue };

/// The answer to one proposal.
struct LifecycleResult {
  LifecycleOutcome outcome = LifecycleOutcome::kNotDue;
  /// A stable word; empty when applied or not due.
  std::string reason;
  /// One sentence for a person.
  std::string detail;
  /// The build that was queued, if any.
  std::optional<BuildId> build_id;
};

/// "applied", "skipped", "missed" or "not_due". Static storage.
absl::string_view ToString(LifecycleOutcome outcome);

}  // namespace coder::lifecycle
