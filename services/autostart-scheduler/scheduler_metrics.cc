#include "services/autostart-scheduler/scheduler_metrics.h"

#include <string>

namespace coder::scheduler {
namespace {

using lifecycle::LifecycleKind;

constexpr LifecycleKind kKinds[] = {LifecycleKind::kAutostart, LifecycleKind::kAutostop,
                                    LifecycleKind::kFailedCleanup, LifecycleKind::kDormancy,
                                    LifecycleKind::kAutodelete};

const prometheus::Histogram::BucketBoundaries kSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                          0.5,   1,    2.5,   5,    10,  30};
const prometheus::Histogram::BucketBoundaries kLagSeconds = {1,  5,   10,  30,   60,
                                                             90, 120, 300, 1800, 3600};

std::string Word(absl::string_view text) { return std::string(text); }

prometheus::Counter& Counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

SchedulerMetrics::SchedulerMetrics(prometheus::Registry& registry)
    : seconds_(prometheus::BuildHistogram()
                   .Name("coderd_lifecycle_autobuild_execution_duration_seconds")
                   .Help("How long one tick took, from reading the candidates to the last answer. "
                         "Near 60: ticks are missed soon; look at coderd-api's database.")
                   .Register(registry)
                   .Add({}, kSeconds)),
      ticks_(Counter(registry, "coderd_scheduler_ticks_total",
                     "Ticks decided and applied as a whole. Not rising by one a minute: see the "
                     "log and coderd_loop_passes_total.")),
      ticks_missed_(Counter(registry, "coderd_scheduler_ticks_missed_total",
                            "Minutes that passed between two ticks without one. What came due in "
                            "them was caught up, late; rising means this process is starved or "
                            "cannot reach coderd-api.")),
      candidates_(Counter(registry, "coderd_scheduler_candidates_total",
                          "Workspaces that were looked at. Far above the decisions for long: the "
                          "prefilter is too wide, or workspaces wait for provisioners.")),
      decisions_(prometheus::BuildCounter()
                     .Name("coderd_scheduler_decisions_total")
                     .Help("What was found due, by kind, and sent to coderd-api; repeated each "
                           "minute while it cannot be done.")
                     .Register(registry)),
      broken_schedules_(prometheus::BuildGauge()
                            .Name("coderd_scheduler_broken_schedules")
                            .Help("Workspaces that never start by themselves because their "
                                  "schedule cannot be read or names no allowed day. Above zero: "
                                  "tell their owners, or widen the template's days.")
                            .Register(registry)
                            .Add({})),
      outcomes_(prometheus::BuildCounter()
                    .Name("coderd_scheduler_outcomes_total")
                    .Help("coderd-api's answers by kind, outcome and reason. A rising "
                          "NO_PROVISIONER asks for provisioners, WRITE_FAILED for a look into "
                          "coderd-api's log; not_due means that somebody else came first.")
                    .Register(registry)),
      lag_(prometheus::BuildHistogram()
               .Name("coderd_scheduler_schedule_lag_seconds")
               .Help("From the nominal time to the queued build. Up to 60 is the tick; more "
                     "means outages, missed ticks or waiting for provisioners.")
               .Register(registry)) {
  for (LifecycleKind kind : kKinds) {
    decisions_.Add({{"kind", Word(lifecycle::ToString(kind))}});
    lag_.Add({{"kind", Word(lifecycle::ToString(kind))}}, kLagSeconds);
    // What alerts ask for is there from the start, so that its first rise is one.
    outcomes_.Add(
        {{"kind", Word(lifecycle::ToString(kind))}, {"outcome", "applied"}, {"reason", ""}});
    for (const char* reason : {"NO_PROVISIONER", "WRITE_FAILED"}) {
      outcomes_.Add(
          {{"kind", Word(lifecycle::ToString(kind))}, {"outcome", "skipped"}, {"reason", reason}});
    }
  }
}

void SchedulerMetrics::RecordTick(absl::Duration took, int64_t missed) {
  ticks_.Increment();
  ticks_missed_.Increment(static_cast<double>(missed));
  seconds_.Observe(absl::ToDoubleSeconds(took));
}

void SchedulerMetrics::RecordCandidate() { candidates_.Increment(); }

void SchedulerMetrics::RecordDecision(LifecycleKind kind) {
  decisions_.Add({{"kind", Word(lifecycle::ToString(kind))}}).Increment();
}

void SchedulerMetrics::SetBrokenSchedules(int64_t count) {
  broken_schedules_.Set(static_cast<double>(count));
}

void SchedulerMetrics::RecordOutcome(LifecycleKind kind, const lifecycle::LifecycleResult& result,
                                     absl::Duration lag) {
  const std::string kind_word = Word(lifecycle::ToString(kind));
  outcomes_
      .Add({{"kind", kind_word},
            {"outcome", Word(lifecycle::ToString(result.outcome))},
            {"reason", result.reason}})
      .Increment();
  if (result.outcome != lifecycle::LifecycleOutcome::kApplied) return;
  lag_.Add({{"kind", kind_word}}, kLagSeconds).Observe(absl::ToDoubleSeconds(lag));
}

}  // namespace coder::scheduler
