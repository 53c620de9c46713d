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

  /// A tick was decided and applied as a whole; `missed` minutes before it were not.
  void RecordTick(absl::Duration took, int64_t missed);
  void RecordCandidate();
  void RecordDecision(lifecycle::LifecycleKind kind);
  /// Workspaces whose schedule cannot be used, in the latest tick.
  void SetBrokenSchedules(int64_t count);
  /// An answer to a proposal; `lag` is how long after its nominal time it came.
  void RecordOutcome(lifecycle::LifecycleKind kind, const lifecycle::LifecycleResult& result,
                     absl::Duration lag);

 private:
  prometheus::Histogram& seconds_;
  prometheus::Counter& ticks_;
  prometheus::Counter& ticks_missed_;
  prometheus::Counter& candidates_;
  prometheus::Family<prometheus::Counter>& decisions_;
  prometheus::Gauge& broken_schedules_;
  prometheus::Family<prometheus::Counter>& outcomes_;
  prometheus::Family<prometheus::Histogram>& lag_;
};

}  // namespace coder::scheduler
