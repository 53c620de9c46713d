#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/ids/uuid.h"
#include "libs/pg/pool.h"
#include "libs/schedule/quiet_hours.h"
#include "libs/storage/job_store.h"

namespace coder::storage {

/// The queue in PostgreSQL. Locks workspaces before jobs, and skips what is locked when it looks
/// for work, so it neither waits for nor deadlocks with other writers.
class PgJobStore final : public JobStore {
 public:
  /// Borrows pool and generator; `ids` names resources and agents. `quiet_hours` bounds the
  /// deadlines of workspaces whose template requires stops.
  PgJobStore(pg::Pool& pool, ids::UuidV7Generator& ids, schedule::QuietHoursTerms quiet_hours = {})
      : pool_(pool), ids_(ids), quiet_hours_(std::move(quiet_hours)) {}

  absl::StatusOr<lifecycle::ProvisionerDaemonId> RecordDaemon(const DaemonHello& hello,
                                                              clock::Deadline deadline) override;
  absl::StatusOr<std::vector<lifecycle::ProvisionerDaemonId>> TouchDaemons(
      const std::vector<lifecycle::ProvisionerDaemonId>& daemons,
      clock::Deadline deadline) override;
  absl::StatusOr<std::vector<AcquiredJob>> AcquireJobs(const AcquireTerms& terms,
                                                       clock::Deadline deadline) override;
  absl::Status ReleaseJob(const LeaseClaim& claim, clock::Deadline deadline) override;
  absl::StatusOr<HeartbeatAnswer> Heartbeat(const LeaseClaim& claim, absl::Duration lease,
                                            clock::Deadline deadline) override;
  absl::StatusOr<AppendOutcome> AppendLogs(const LeaseClaim& claim, int64_t first_line,
                                           const std::vector<JobLogLine>& lines,
                                           clock::Deadline deadline) override;
  absl::StatusOr<std::string> LoadSource(const LeaseClaim& claim,
                                         clock::Deadline deadline) override;
  absl::StatusOr<std::optional<std::string>> LoadSealedState(const LeaseClaim& claim,
                                                             clock::Deadline deadline) override;
  absl::StatusOr<bool> StoreSealedState(const LeaseClaim& claim, const std::string& sealed,
                                        clock::Deadline deadline) override;
  absl::Status CompleteImport(const LeaseClaim& claim, const ImportOutcome& outcome,
                              const std::vector<StageTiming>& timings,
                              clock::Deadline deadline) override;
  absl::StatusOr<std::optional<CompletedBuild>> CompleteBuild(
      const LeaseClaim& claim, const std::vector<ResourceRecord>& resources,
      const std::vector<StageTiming>& timings, clock::Deadline deadline) override;
  absl::Status FailJob(const LeaseClaim& claim, const JobFailure& failure,
                       const std::vector<StageTiming>& timings, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ReapedJob>> ReapExpired(int limit, clock::Deadline deadline) override;
  absl::Status CheckWritable(clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
  ids::UuidV7Generator& ids_;
  const schedule::QuietHoursTerms quiet_hours_;
};

}  // namespace coder::storage
