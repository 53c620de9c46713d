#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/provisionerd/job.h"

namespace coder::provisionerd {

/// What a heartbeat learns.
struct HeartbeatAnswer {
  bool cancel_requested = false;
  absl::Duration lease_duration;
};

/// What a daemon says to coderd-api about a job it holds. Safe to call from many threads.
///
/// Every method may return FAILED_PRECONDITION with reason LEASE_LOST (the job is somebody else's
/// or ended: stop, upload the state, forget it), UNAVAILABLE or DEADLINE_EXCEEDED (try again), and
/// UNAUTHENTICATED or PERMISSION_DENIED (the key is revoked).
class JobClient {
 public:
  virtual ~JobClient() = default;

  /// Renews the lease.
  virtual absl::StatusOr<HeartbeatAnswer> Heartbeat(const Lease& lease) = 0;

  /// Stores lines, of which `first_line` were sent before. Returns true when the log is full and no
  /// more need be sent.
  virtual absl::StatusOr<bool> AppendLogs(const Lease& lease, int64_t first_line,
                                          const std::vector<TimedLogLine>& lines) = 0;

  /// The template's archive.
  virtual absl::StatusOr<std::string> DownloadSource(const Lease& lease) = 0;

  /// The state of the build before, empty for none.
  virtual absl::StatusOr<std::string> DownloadState(const Lease& lease) = 0;

  /// Stores the engine's state. Returns true when the lease was lost and the state was kept aside.
  /// RESOURCE_EXHAUSTED beyond 32 MiB.
  virtual absl::StatusOr<bool> UploadState(const Lease& lease, std::string_view state) = 0;

  virtual absl::Status CompleteImport(const Lease& lease, const ImportResult& result,
                                      const JobTimings& timings) = 0;
  virtual absl::Status CompleteBuild(const Lease& lease, const std::vector<Resource>& resources,
                                     const JobTimings& timings) = 0;
  virtual absl::Status Fail(const Lease& lease, const JobFailure& failure,
                            const JobTimings& timings) = 0;

  /// Gives back a job that was never started.
  virtual absl::Status Release(const Lease& lease) = 0;
};

}  // namespace coder::provisionerd
