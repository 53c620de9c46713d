#pragma once

#include "absl/status/statusor.h"
#include "coder/lifecycle/v1/lifecycle.pb.h"
#include "libs/lifecycle/proposal.h"

namespace coder::api {

/// What the scheduler is told of a workspace.
::coder::lifecycle::v1::LifecycleCandidate ToProto(const lifecycle::LifecycleCandidate& candidate);

/// The answer to one action.
::coder::lifecycle::v1::LifecycleActionResult ToProto(const lifecycle::LifecycleResult& result);

/// One action. INVALID_ARGUMENT, with a violation, for a malformed workspace_id, an unknown kind, a
/// missing or impossible nominal_time and an attempt below 1.
absl::StatusOr<lifecycle::LifecycleProposal> FromProto(
    const ::coder::lifecycle::v1::LifecycleAction& action);

/// The tick of a request. INVALID_ARGUMENT, with a violation of `tick`, when it is missing or
/// impossible.
absl::StatusOr<absl::Time> TickOf(bool present, const google::protobuf::Timestamp& tick);

}  // namespace coder::api
