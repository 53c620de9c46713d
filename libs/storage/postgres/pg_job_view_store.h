#pragma once

#include <optional>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/job_view_store.h"

namespace coder::storage {

/// Jobs, logs and daemons in PostgreSQL.
class PgJobViewStore final : public JobViewStore {
 public:
  /// Borrows the pool.
  explicit PgJobViewStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<JobView> GetJob(lifecycle::JobId id, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<JobView>> ListJobs(const JobFilter& filter,
                                                const std::optional<JobPageKey>& after, int limit,
                                                clock::Deadline deadline) override;
  absl::StatusOr<std::vector<DaemonView>> ListDaemons(lifecycle::OrganizationId organization,
                                                      clock::Deadline deadline) override;
  absl::StatusOr<std::vector<StoredLogLine>> ReadLogs(lifecycle::JobId job, int64_t after_id,
                                                      int limit, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<JobCount>> CountJobs(clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
