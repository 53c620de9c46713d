#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "libs/clock/clock.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/job.h"
#include "services/provisionerd/job_client.h"

namespace coder::provisionerd {

/// What every job of a daemon runs with. Engines by name: "terraform", "echo".
struct JobEnvironment {
  std::map<std::string, Engine*> engines;
  /// An existing directory; each job gets a private one in it, removed at its end.
  std::string work_root;
  JobClient* client = nullptr;
  clock::Clock* clock = nullptr;
  /// How long a state or a result is offered again after the API went away.
  absl::Duration report_budget = absl::Minutes(5);
};

/// How a job ended, for the daemon's log and metrics.
enum class JobEnd { kSucceeded, kFailed, kCanceled, kLeaseLost };

/// "succeeded", "failed", "canceled", "lease_lost".
std::string_view JobEndName(JobEnd end);

/// What a job does now, in the words of its log's stages. Thread-safe.
class JobPhase {
 public:
  void Set(const std::string& phase) {
    const std::lock_guard lock(mutex_);
    if (phase_ != phase) phase_ = phase;
  }
  std::string Get() const {
    const std::lock_guard lock(mutex_);
    return phase_;
  }

 private:
  mutable std::mutex mutex_;
  std::string phase_;  // guarded by mutex_
};

/// Runs one job from its archive to its report and returns when nothing of it is left: logs sent,
/// state uploaded before the result (after a failure too), directory removed. `drain` interrupts
/// the engine; the job is then reported as INTERRUPTED. `acquired_at` is the monotonic time at or
/// before the job was handed out; `phase` is told what the job does.
JobEnd RunJob(const JobEnvironment& environment, const Job& job, absl::Duration acquired_at,
              std::stop_token drain, JobPhase& phase);

}  // namespace coder::provisionerd
