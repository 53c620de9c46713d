#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/parameters.h"
#include "libs/storage/template_records.h"
#include "libs/storage/workspace_records.h"

namespace coder::storage {

/// Builds of workspaces. As WorkspaceStore otherwise.
class BuildStore {
 public:
  virtual ~BuildStore() = default;

  /// Queues a build, with its event. It starts from the state the build before left. An orphan
  /// delete that no provisioner could run succeeds, and deletes the workspace, at once. The same
  /// request again returns the build as it is now. NOT_FOUND when the workspace or the version does
  /// not exist; INVALID_ARGUMENT, reason REQUEST_ID_REUSED; otherwise as lifecycle::CheckNewBuild.
  virtual absl::StatusOr<BuildRecord> Create(const BuildOrder& order, clock::Deadline deadline) = 0;

  /// NOT_FOUND.
  virtual absl::StatusOr<BuildRecord> Get(const lifecycle::BuildId& id,
                                          clock::Deadline deadline) = 0;
  virtual absl::StatusOr<BuildRecord> GetByNumber(const lifecycle::WorkspaceId& workspace,
                                                  int32_t number, clock::Deadline deadline) = 0;

  /// At most `limit` builds, the newest first, with numbers below `below` if given.
  virtual absl::StatusOr<std::vector<BuildRecord>> List(const lifecycle::WorkspaceId& workspace,
                                                        const std::optional<int32_t>& below,
                                                        int limit, clock::Deadline deadline) = 0;

  /// Cancels a build, with its event: a pending one at once, a running one once its engine stops.
  ///   NOT_FOUND
  ///   FAILED_PRECONDITION  reason JOB_COMPLETED, JOB_CANCELED (a cancel was asked for before) or
  ///                        STATUS_MISMATCH (not the expected status)
  virtual absl::StatusOr<BuildRecord> Cancel(const lifecycle::BuildId& id,
                                             const std::optional<lifecycle::JobStatus>& expected,
                                             clock::Deadline deadline) = 0;

  /// The values a build runs with, by name; none for an unknown build.
  virtual absl::StatusOr<std::vector<lifecycle::NameValue>> ListParameters(
      const lifecycle::BuildId& id, clock::Deadline deadline) = 0;

  /// What a job's engine made, by type and name; none for an unknown job.
  virtual absl::StatusOr<std::vector<ResourceView>> ListResources(const lifecycle::JobId& job,
                                                                  clock::Deadline deadline) = 0;

  /// Adopts a late state as the workspace's state, or sets it aside for good, with an event.
  ///   NOT_FOUND
  ///   FAILED_PRECONDITION  reason NO_LATE_STATE (none, or it was decided over), or BUILD_ACTIVE
  ///                        (the workspace's latest build has not ended)
  virtual absl::StatusOr<BuildRecord> ResolveLateState(const lifecycle::BuildId& id, bool adopt,
                                                       clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
