#include "services/autostart-scheduler/scheduler_metrics.h"

#include <string>

#include "libs/metrics/single.h"

namespace coder::scheduler {
namespace {

using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;

constexpr LifecycleKind kKinds[] = {
    LifecycleKind::kAutostart, LifecycleKind::kAutostop,   LifecycleKind::kFailedCleanup,
    LifecycleKind::kDormancy,  LifecycleKind::kAutodelete, LifecycleKind::kAutostopReminder};

const prometheus::Histogram::BucketBoundaries kSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                          0.5,   1,    2.5,   5,    10,  30};
const prometheus::Histogram::BucketBoundaries kLagSeconds = {1,  5,   10,  30,   60,
                                                             90, 120, 300, 1800, 3600};

const prometheus::Histogram::BucketBoundaries kSizes = {0,   1,     10,    50,    100,
                                                        500, 1'000, 2'500, 5'000, 10'000};

std::string Word(absl::string_view text) { return std::string(text); }

}  // namespace

SchedulerMetrics::SchedulerMetrics(prometheus::Registry& registry)
    : seconds_(prometheus::BuildHistogram()
                   .Name("coderd_lifecycle_autobuild_execution_duration_seconds")
                   .Help("How long one tick took, from reading the candidates to the last answer. "
                         "Near 60: ticks are missed soon; look at coderd-api's database.")
                   .Register(registry)
                   .Add({}, kSeconds)),
      ticks_(metrics::AddCounter(
          registry, "coderd_scheduler_ticks_total",
          "Ticks decided and applied as a whole. Not rising by one a minute: see the "
          "log and coderd_loop_passes_total.")),
      ticks_missed_(
          metrics::AddCounter(registry, "coderd_scheduler_ticks_missed_total",
                              "Minutes that passed between two ticks without one. What came due in "
                              "them was caught up, late; rising means this process is starved or "
                              "cannot reach coderd-api.")),
      candidates_(metrics::AddCounter(
          registry, "coderd_scheduler_candidates_total",
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
               .Help("From when it was due (the nominal time and the spread) to the queued build. "
                     "Up to 60 is the tick; more means outages, missed ticks or waiting for "
                     "provisioners. Retries do not count.")
               .Register(registry)),
      tick_candidates_(metrics::AddHistogram(registry, "coderd_scheduler_tick_candidates",
                                             "Workspaces that one tick looked at.", kSizes)),
      tick_decisions_(metrics::AddHistogram(
          registry, "coderd_scheduler_tick_decisions",
          "What one tick found due. Near 10000: spread the schedules.", kSizes)),
      batches_(metrics::AddCounter(registry, "coderd_scheduler_batches_total",
                                   "Batches of decisions that coderd-api answered.")),
      batch_seconds_(
          metrics::AddHistogram(registry, "coderd_scheduler_batch_seconds",
                                "How long coderd-api took for one batch. Near 30 the call is given "
                                "up: look at its database.",
                                kSeconds)),
      conflicts_(prometheus::BuildCounter()
                     .Name("coderd_scheduler_conflicts_total")
                     .Help("Decisions that were no longer true under the workspace's lock, by "
                           "kind: a person or another scheduler came first. Few are normal.")
                     .Register(registry)),
      retries_(prometheus::BuildCounter()
                   .Name("coderd_scheduler_retries_total")
                   .Help("Second and later attempts for one nominal autostart, by outcome. Rising: "
                         "starts fail; look at their builds.")
                   .Register(registry)),
      catch_ups_(
          metrics::AddCounter(registry, "coderd_scheduler_catch_ups_total",
                              "Autostarts queued more than two minutes after they were due. Rising "
                              "without an outage: ticks are late or provisioners missing.")),
      backlog_(prometheus::BuildGauge()
                   .Name("coderd_scheduler_next_fire_backlog")
                   .Help("Autostarts that were due at the latest tick and are still open, such as "
                         "those that wait for a provisioner. Not falling: nobody starts them.")
                   .Register(registry)
                   .Add({})) {
  for (LifecycleKind kind : kKinds) {
    decisions_.Add({{"kind", Word(lifecycle::ToString(kind))}});
    lag_.Add({{"kind", Word(lifecycle::ToString(kind))}}, kLagSeconds);
    conflicts_.Add({{"kind", Word(lifecycle::ToString(kind))}});
    // What alerts ask for is there from the start, so that its first rise is one.
    outcomes_.Add(
        {{"kind", Word(lifecycle::ToString(kind))}, {"outcome", "applied"}, {"reason", ""}});
    for (const char* reason : {"NO_PROVISIONER", "WRITE_FAILED"}) {
      outcomes_.Add(
          {{"kind", Word(lifecycle::ToString(kind))}, {"outcome", "skipped"}, {"reason", reason}});
    }
  }
  for (const char* outcome : {"applied", "skipped", "missed"}) {
    retries_.Add({{"outcome", outcome}});
  }
}

void SchedulerMetrics::RecordTick(const Tick& tick) {
  ticks_.Increment();
  ticks_missed_.Increment(static_cast<double>(tick.missed));
  seconds_.Observe(absl::ToDoubleSeconds(tick.took));
  tick_candidates_.Observe(static_cast<double>(tick.candidates));
  tick_decisions_.Observe(static_cast<double>(tick.decisions));
  backlog_.Set(static_cast<double>(tick.backlog));
}

void SchedulerMetrics::RecordBatch(absl::Duration took) {
  batches_.Increment();
  batch_seconds_.Observe(absl::ToDoubleSeconds(took));
}

void SchedulerMetrics::RecordCandidate() { candidates_.Increment(); }

void SchedulerMetrics::RecordDecision(LifecycleKind kind) {
  decisions_.Add({{"kind", Word(lifecycle::ToString(kind))}}).Increment();
}

void SchedulerMetrics::SetBrokenSchedules(int64_t count) {
  broken_schedules_.Set(static_cast<double>(count));
}

void SchedulerMetrics::RecordOutcome(const lifecycle::LifecycleProposal& proposal,
                                     const lifecycle::LifecycleResult& result, absl::Duration lag) {
  const std::string kind_word = Word(lifecycle::ToString(proposal.kind));
  const std::string outcome_word = Word(lifecycle::ToString(result.outcome));
  outcomes_.Add({{"kind", kind_word}, {"outcome", outcome_word}, {"reason", result.reason}})
      .Increment();
  if (result.outcome == LifecycleOutcome::kNotDue) {
    conflicts_.Add({{"kind", kind_word}}).Increment();
    return;
  }
  if (proposal.attempt > 1) {
    retries_.Add({{"outcome", outcome_word}}).Increment();
    return;
  }
  if (result.outcome != LifecycleOutcome::kApplied) return;
  lag_.Add({{"kind", kind_word}}, kLagSeconds).Observe(absl::ToDoubleSeconds(lag));
  if (proposal.kind == LifecycleKind::kAutostart && lag > kCatchUpLag) catch_ups_.Increment();
}

}  // namespace coder::scheduler
