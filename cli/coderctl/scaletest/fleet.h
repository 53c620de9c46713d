#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/coderctl/scaletest/rig.h"
#include "cli/coderctl/scaletest/statistics.h"

namespace coder::cli::scaletest {

/// One workspace of a test and its owner. Used by one thread at a time.
struct Member {
  Timeline timeline;
  std::string workspace_id;
};

/// The run's members, named and nothing more.
std::vector<Member> NewFleet(const Rig& rig);

/// Notes what went wrong with a member, as a stable word and the error's message.
void Fail(Member& member, const std::string& kind, const absl::Status& status);

/// Makes the member's user and workspace and waits until it runs. False, with the error noted, when
/// one of them fails.
bool Create(Rig& rig, Member& member);

/// Asks for a build and waits for its end. ABORTED when it failed or was canceled; errors of the
/// call, DEADLINE_EXCEEDED after the job timeout, CANCELLED after a stop.
absl::StatusOr<ObservedBuild> Build(Rig& rig, const std::string& workspace_id,
                                    events::v1::BuildTransition transition,
                                    const std::stop_token& stop);

/// Makes all members run, `concurrency` at once, and then calls `after` for each that does, in the
/// same thread; `after` returns false when the member has failed.
void CreateAll(Rig& rig, std::vector<Member>& fleet,
               const std::function<bool(Member&)>& after = nullptr);

/// What a run returns: OK, CANCELLED after a stop, ABORTED when `failed` of `all` went wrong.
absl::Status Verdict(const Rig& rig, const std::string& what, int failed, int all);

}  // namespace coder::cli::scaletest
