#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// Jobs, their logs and their daemons, to be looked at. Each method is one statement. Safe to call
/// from many threads. Every method may return UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED
/// as JobStore does.
class JobViewStore {
 public:
  virtual ~JobViewStore() = default;

  /// NOT_FOUND when there is no such job.
  virtual absl::StatusOr<JobView> GetJob(lifecycle::JobId id, clock::Deadline deadline) = 0;

  /// At most `limit` jobs, the newest first, after `after` if given.
  virtual absl::StatusOr<std::vector<JobView>> ListJobs(const JobFilter& filter,
                                                        const std::optional<JobPageKey>& after,
                                                        int limit, clock::Deadline deadline) = 0;

  /// All daemons of an organization, by name.
  virtual absl::StatusOr<std::vector<DaemonView>> ListDaemons(
      lifecycle::OrganizationId organization, clock::Deadline deadline) = 0;

  /// At most `limit` lines of a job's log with ids above `after_id`, in order.
  virtual absl::StatusOr<std::vector<StoredLogLine>> ReadLogs(lifecycle::JobId job,
                                                              int64_t after_id, int limit,
                                                              clock::Deadline deadline) = 0;

  /// Unfinished jobs by provisioner and status.
  virtual absl::StatusOr<std::vector<JobCount>> CountJobs(clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
