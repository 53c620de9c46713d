#pragma once

#include "absl/status/statusor.h"
#include "coder/lifecycle/v1/lifecycle.pb.h"
#include "libs/lifecycle/proposal.h"

namespace coder::scheduler {

/// A candidate as the rules take it. INTERNAL, naming the field, for values this program does not
/// know: the server is newer, and guessing would start or stop the wrong workspace.
absl::StatusOr<lifecycle::LifecycleCandidate> FromProto(
    const ::coder::lifecycle::v1::LifecycleCandidate& message);

/// The answer to one proposal. INTERNAL as above.
absl::StatusOr<lifecycle::LifecycleResult> FromProto(
    const ::coder::lifecycle::v1::LifecycleActionResult& message);

::coder::lifecycle::v1::LifecycleAction ToProto(const lifecycle::LifecycleProposal& proposal);

}  // namespace coder::scheduler
