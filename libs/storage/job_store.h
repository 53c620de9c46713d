#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// Output a job may log, in bytes; what goes beyond is dropped after one warning line.
inline constexpr int32_t kMaxJobLogBytes = 1024 * 1024;

/// A daemon not seen for this long counts as gone.
inline constexpr absl::Duration kDaemonOfflineAfter = absl::Seconds(90);

/// The queue of jobs and the leases on them. Times are the database's. Each method is one
/// transaction, and each state change of a build's job commits together with its event. Safe to
/// call from many threads.
///
/// Every method may return, besides what it lists: UNAVAILABLE (the database cannot be reached),
/// DEADLINE_EXCEEDED, ABORTED (lost against other transactions too often), RESOURCE_EXHAUSTED (too
/// many callers wait for the database), UNKNOWN (the connection broke while committing).
///
/// LEASE_LOST stands for FAILED_PRECONDITION with that reason: the job is not of the claim's
/// organization, is held under another token, or has ended. A lease past its expiry still holds
/// until the job is reaped, so that an outage of the database costs no job.
class JobStore {
 public:
  virtual ~JobStore() = default;

  /// Records a daemon, or that it is back with other properties.
  ///   PERMISSION_DENIED  the key is revoked
  virtual absl::StatusOr<lifecycle::ProvisionerDaemonId> RecordDaemon(const DaemonHello& hello,
                                                                      clock::Deadline deadline) = 0;

  /// Marks daemons as seen now and returns those whose key is revoked.
  virtual absl::StatusOr<std::vector<lifecycle::ProvisionerDaemonId>> TouchDaemons(
      const std::vector<lifecycle::ProvisionerDaemonId>& daemons, clock::Deadline deadline) = 0;

  /// Takes the first jobs of the queue that the terms admit, in its order, at most one for each
  /// place; none when nothing waits. Never waits for a job or workspace that another transaction
  /// holds. Nothing under a revoked key.
  virtual absl::StatusOr<std::vector<AcquiredJob>> AcquireJobs(const AcquireTerms& terms,
                                                               clock::Deadline deadline) = 0;

  /// Returns a job that was never started to its place in the queue; canceled meanwhile, it ends
  /// canceled. LEASE_LOST.
  virtual absl::Status ReleaseJob(const LeaseClaim& claim, clock::Deadline deadline) = 0;

  /// Extends the lease to `lease` from now. LEASE_LOST.
  virtual absl::StatusOr<HeartbeatAnswer> Heartbeat(const LeaseClaim& claim, absl::Duration lease,
                                                    clock::Deadline deadline) = 0;

  /// Appends lines, of which `first_line` counts those sent before. Lines that are already stored
  /// are not stored again. LEASE_LOST, and
  ///   OUT_OF_RANGE  lines before `first_line` are missing; the sentence says how many there are
  virtual absl::StatusOr<AppendOutcome> AppendLogs(const LeaseClaim& claim, int64_t first_line,
                                                   const std::vector<JobLogLine>& lines,
                                                   clock::Deadline deadline) = 0;

  /// The job's archive. LEASE_LOST.
  virtual absl::StatusOr<std::string> LoadSource(const LeaseClaim& claim,
                                                 clock::Deadline deadline) = 0;

  /// The sealed state the build starts from, or nothing. LEASE_LOST, and
  ///   INVALID_ARGUMENT  the job is no build
  virtual absl::StatusOr<std::optional<std::string>> LoadSealedState(const LeaseClaim& claim,
                                                                     clock::Deadline deadline) = 0;

  /// Stores a build's sealed state. Returns true when the job had ended under this token: the
  /// state is then kept as a late state, which blocks the workspace's next build. LEASE_LOST only
  /// when the token never was the last one of the job, and
  ///   INVALID_ARGUMENT  the job is no build
  virtual absl::StatusOr<bool> StoreSealedState(const LeaseClaim& claim, const std::string& sealed,
                                                clock::Deadline deadline) = 0;

  /// Ends an import well. OK, with nothing changed, when the same lease has already ended it well.
  /// LEASE_LOST, and
  ///   INVALID_ARGUMENT  the job is no import, or a value does not fit its column
  virtual absl::Status CompleteImport(const LeaseClaim& claim, const ImportOutcome& outcome,
                                      const std::vector<StageTiming>& timings,
                                      clock::Deadline deadline) = 0;

  /// Ends a build well, its resources under its own transition: a start gets its deadline, a delete
  /// deletes the workspace, and the next autostart is computed again. Nothing is returned when the
  /// same lease has ended it well before. Otherwise as CompleteImport.
  virtual absl::StatusOr<std::optional<CompletedBuild>> CompleteBuild(
      const LeaseClaim& claim, const std::vector<ResourceRecord>& resources,
      const std::vector<StageTiming>& timings, clock::Deadline deadline) = 0;

  /// Ends a job badly, or as canceled when that was asked for. OK, with nothing changed, when the
  /// same lease has already ended it badly. LEASE_LOST.
  virtual absl::Status FailJob(const LeaseClaim& claim, const JobFailure& failure,
                               const std::vector<StageTiming>& timings,
                               clock::Deadline deadline) = 0;

  /// Ends up to `limit` running jobs whose lease has expired, oldest expiry first, as failed with
  /// LEASE_EXPIRED and lines in their log that say why. States are kept as they are. Skips what
  /// others hold.
  virtual absl::StatusOr<std::vector<ReapedJob>> ReapExpired(int limit,
                                                             clock::Deadline deadline) = 0;

  /// OK when the database takes heartbeats: it answers and accepts writes.
  virtual absl::Status CheckWritable(clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
