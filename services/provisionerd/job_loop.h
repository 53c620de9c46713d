#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/server/program.h"
#include "services/provisionerd/acquire_stream.h"
#include "services/provisionerd/job_metrics.h"
#include "services/provisionerd/job_run.h"

namespace coder::provisionerd {

/// What a daemon does at one moment.
struct JobLoopView {
  struct Running {
    std::string job_id;
    std::string provisioner;
    /// "import", "start", "stop" or "delete".
    std::string work;
    std::string phase;
    absl::Duration age;
  };

  int slots = 0;
  /// Slots for which a job was asked and none has come.
  int waiting = 0;
  bool draining = false;
  /// As JobLoop::Connected.
  absl::Status connection;
  std::vector<Running> running;
};

/// Keeps a stream to coderd-api open, asks for a job for each free slot, and runs what comes, each
/// job on a thread of its own. Draining takes back what was asked for, gives back what still
/// arrives, lets running jobs end within the budget and interrupts those that do not.
class JobLoop final : public server::Part {
 public:
  /// `environment`, `clock` and `registry` must outlive the loop.
  JobLoop(std::shared_ptr<grpc::Channel> channel, server::Secret key, DaemonIdentity identity,
          const JobEnvironment& environment, clock::Clock& clock, prometheus::Registry& registry);
  ~JobLoop() override;

  std::string name() const override { return "job-loop"; }
  absl::Status Start() override;
  void Drain(absl::Duration budget) override;
  void Stop() override;

  /// OK while the stream to coderd-api is open; otherwise the last error.
  absl::Status Connected() const;

  /// Any thread.
  JobLoopView View() const;

 private:
  struct RunningJob {
    std::jthread thread;
    std::atomic<bool> done{false};
    std::string job_id, provisioner, work;
    /// Monotonic.
    absl::Duration acquired_at;
    JobPhase phase;
  };

  void Run(std::stop_token stop);
  absl::Status Serve(std::stop_token stop);
  void OnJob(Job job);
  void RunOne(RunningJob& running, const Job& job, absl::Duration acquired_at);
  void AskForFreeSlots(std::unique_lock<std::mutex>& lock);
  void JoinFinished();
  void SetConnection(absl::Status status);

  const std::shared_ptr<grpc::Channel> channel_;
  const server::Secret key_;
  const DaemonIdentity identity_;
  const JobEnvironment& environment_;
  clock::Clock& clock_;
  JobMetrics metrics_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  absl::Status connection_;
  /// Of the stream in use; null between streams.
  std::shared_ptr<AcquireStream> stream_;
  bool welcome_ = false;
  int outstanding_ = 0;
  int running_ = 0;
  bool draining_ = false;
  std::vector<std::unique_ptr<RunningJob>> jobs_;

  std::stop_source interrupt_jobs_;
  std::jthread thread_;
};

}  // namespace coder::provisionerd
