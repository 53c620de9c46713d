#pragma once

#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/server/loop.h"
#include "services/autostart-scheduler/lifecycle_client.h"
#include "services/autostart-scheduler/scheduler_metrics.h"

namespace coder::scheduler {

/// The latest tick, however it ended.
struct TickView {
  absl::Time tick;
  absl::Status outcome;
  /// What it amounted to as far as it came.
  SchedulerMetrics::Tick amounts;
  /// Workspaces whose schedule cannot be used.
  int64_t broken_schedules = 0;
};

/// One tick: reads the candidates, decides each with the lifecycle rules, and sends what is due. A
/// minute without a tick costs only time, because everything due since is due still. Any number of
/// schedulers may tick at once: coderd-api decides again under its locks.
class SchedulerPass {
 public:
  /// All must outlive the pass.
  SchedulerPass(LifecycleClient& client, clock::Clock& clock, SchedulerMetrics& metrics)
      : client_(client), clock_(clock), metrics_(metrics) {}

  /// Decides for the minute that the clock shows. Errors are those of LifecycleClient; what was
  /// applied by then stays. CANCELLED when stopped.
  absl::StatusOr<server::PassOutcome> Run(std::stop_token stop);

  /// OK when the latest pass succeeded; UNAVAILABLE, with its error, otherwise. Any thread.
  absl::Status LatestOutcome() const;

  /// Absent before the first. Any thread.
  std::optional<TickView> LatestTick() const;

 private:
  // What was found due, and when it came due, in the same order.
  struct Due {
    std::vector<lifecycle::LifecycleProposal> proposals;
    std::vector<absl::Time> since;
  };

  absl::Status Tick(std::stop_token stop, TickView& view);
  Due DecideAll(std::stop_token stop, TickView& view, absl::Status& outcome);
  absl::Status ApplyAll(absl::Time tick, std::stop_token stop, const Due& due,
                        SchedulerMetrics::Tick& amounts);
  void Note(const lifecycle::LifecycleProposal& proposal, const lifecycle::LifecycleResult& result,
            absl::Duration lag, SchedulerMetrics::Tick& amounts);

  LifecycleClient& client_;
  clock::Clock& clock_;
  SchedulerMetrics& metrics_;
  // The latest tick that was applied as a whole; only the loop's thread.
  std::optional<absl::Time> latest_tick_;
  mutable std::mutex mutex_;
  std::optional<TickView> latest_;  // guarded by mutex_
};

}  // namespace coder::scheduler
