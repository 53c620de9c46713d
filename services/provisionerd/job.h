#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "services/provisionerd/engine.h"

namespace coder::provisionerd {

/// The right to run a job, as long as heartbeats renew it. The token is a secret.
struct Lease {
  std::string job_id;
  std::string token;
};

/// One job as coderd-api hands it out. The request lacks its template directory and, for a build,
/// its previous state: those are fetched with the lease.
struct Job {
  Lease lease;
  /// From the moment the job was sent, and from each heartbeat.
  absl::Duration lease_duration;
  /// "terraform" or "echo".
  std::string provisioner;
  std::variant<ImportRequest, BuildRequest> work;
};

/// A log line and when it was written.
struct TimedLogLine {
  absl::Time time;
  EngineLogLine line;
};

/// How a job that did not succeed is reported.
struct JobFailure {
  /// One sentence for people.
  std::string error;
  /// A stable word: ENGINE_FAILED, REQUIRED_TEMPLATE_VARIABLES, ARCHIVE_REFUSED,
  /// UNKNOWN_PROVISIONER, INTERRUPTED, CANCELED or INTERNAL.
  std::string error_code;
  /// The work stopped because somebody canceled the job.
  bool canceled = false;
};

/// Stage timings with the wall time at which the engine was called.
struct JobTimings {
  absl::Time start;
  std::vector<StageTiming> stages;
};

}  // namespace coder::provisionerd
