#pragma once

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/new_build.h"
#include "libs/lifecycle/types.h"
#include "libs/pg/transaction.h"

namespace coder::storage {

/// A build that was decided on, on its way into the database.
struct BuildToInsert {
  /// New ids.
  lifecycle::BuildId id;
  lifecycle::JobId job;
  lifecycle::WorkspaceId workspace;
  lifecycle::TemplateVersionId version;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::BuildReason reason = lifecycle::BuildReason::kInitiator;
  lifecycle::UserId initiator;
  bool debug = false;
  /// What CheckNewBuild answered under the lock that is still held.
  lifecycle::NewBuildPlan plan;
  /// The workspace's prefilter of the autostart rule after this build; absent: left as it is.
  struct NextStart {
    std::optional<absl::Time> at;
  };
  std::optional<NextStart> next_start;
};

/// Whether the scheduler asks for builds with this reason, and nobody waits for them.
bool IsSchedulerReason(lifecycle::BuildReason reason);

/// Queues builds of different workspaces within `tx`, which must hold the locks of the workspace
/// rows: for each its job, the build, its parameters and its event, and the workspace's latest
/// build. The job asks for what the version's import asked for, with the workspace's owner where
/// the scope is a user's. Three round trips, however many builds. Scheduler reasons wait behind
/// everything that people ask for within the next ten minutes.
///
/// FAILED_PRECONDITION, reason BUILD_ACTIVE, when a workspace has a build of that number already;
/// NOT_FOUND when a version or a workspace does not exist; otherwise as Transaction::Execute. After
/// an error only a rollback is left.
absl::Status InsertBuilds(pg::Transaction& tx, const std::vector<BuildToInsert>& builds);

/// As InsertBuilds, for one.
absl::Status InsertBuild(pg::Transaction& tx, const BuildToInsert& build);

}  // namespace coder::storage
