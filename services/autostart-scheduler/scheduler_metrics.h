#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>

#include "absl/time/time.h"
#include "libs/lifecycle/proposal.h"

namespace coder::scheduler {

/// What an operator learns of the ticks. Thread-safe.
class SchedulerMetrics {
 public:
  /// The registry must outlive it.
  explicit SchedulerMetrics(prometheus::Registry& registry);

  /// What one tick amounted to.
  struct Tick {
    absl::Duration took;
    /// Minutes before it in which there was none.
    int64_t missed = 0;
    int64_t candidates = 0;
    int64_t decisions = 0;
    /// Autostarts that were due and are still open.
    int64_t backlog = 0;
  };

  /// A tick was decided and applied as a whole.
  void RecordTick(const Tick& tick);
  /// Decisions were sent and answered together.
  void RecordBatch(absl::Duration took);
  void RecordCandidate();
  void RecordDecision(lifecycle::LifecycleKind kind);
  /// Workspaces whose schedule cannot be used, in the latest tick.
  void SetBrokenSchedules(int64_t count);
  /// An answer to a proposal; `lag` is how long after it was due it came. A retry's counts as one.
  void RecordOutcome(const lifecycle::LifecycleProposal& proposal,
                     const lifecycle::LifecycleResult& result, absl::Duration lag);

 private:
  prometheus::Histogram& seconds_;
  prometheus::Counter& ticks_;
  prometheus::Counter& ticks_missed_;
  prometheus::Counter& candidates_;
  prometheus::Family<prometheus::Counter>& decisions_;
  prometheus::Gauge& broken_schedules_;
  prometheus::Family<prometheus::Counter>& outcomes_;
  prometheus::Family<prometheus::Histogram>& lag_;
  prometheus::Histogram& tick_candidates_;
  prometheus::Histogram& tick_decisions_;
  prometheus::Counter& batches_;
  prometheus::Histogram& batch_seconds_;
  prometheus::Family<prometheus::Counter>& conflicts_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Counter& catch_ups_;
  prometheus::Gauge& backlog_;
};

/// An autostart that was queued later than this after it was due was caught up.
inline constexpr absl::Duration kCatchUpLag = absl::Minutes(2);

}  // namespace coder::scheduler
