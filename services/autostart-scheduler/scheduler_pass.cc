#include "services/autostart-scheduler/scheduler_pass.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/failpoint/failpoint.h"
#include "libs/lifecycle/decision.h"
#include "libs/server/log.h"
#include "libs/status/status_macros.h"

namespace coder::scheduler {
namespace {

using lifecycle::LifecycleKind;
using lifecycle::LifecycleProposal;

absl::Time MinuteOf(absl::Time time) {
  return time - (time - absl::UnixEpoch()) % absl::Minutes(1);
}

// All that is to be done or recorded for one workspace. A schedule that cannot be used has no
// nominal time; its build's stands in.
std::vector<LifecycleProposal> ProposalsFor(const lifecycle::LifecycleCandidate& candidate,
                                            const lifecycle::Decision& decision) {
  std::vector<LifecycleProposal> proposals;
  for (const lifecycle::UnusedSlot& slot : decision.unused_slots) {
    proposals.push_back(
        {candidate.workspace_id, LifecycleKind::kAutostart, slot.nominal_time, slot.attempt});
  }
  if (!decision.schedule_error.empty()) {
    proposals.push_back(
        {candidate.workspace_id, LifecycleKind::kAutostart, candidate.snapshot.build_created_at});
  }
  if (decision.action != lifecycle::LifecycleAction::kNone) {
    proposals.push_back(
        {candidate.workspace_id, decision.kind, decision.nominal_time, decision.attempt});
  }
  return proposals;
}

}  // namespace

absl::StatusOr<server::PassOutcome> SchedulerPass::Run(std::stop_token stop) {
  TickView view{.tick = MinuteOf(clock_.Now())};
  const absl::Duration begin = clock_.MonotonicNow();
  view.outcome = Tick(stop, view);
  view.amounts.took = clock_.MonotonicNow() - begin;
  if (view.outcome.ok()) metrics_.RecordTick(view.amounts);
  {
    const std::lock_guard lock(mutex_);
    latest_ = view;
  }
  RETURN_IF_ERROR(view.outcome);
  return server::PassOutcome::kIdle;
}

absl::Status SchedulerPass::LatestOutcome() const {
  const std::lock_guard lock(mutex_);
  if (!latest_) return absl::UnavailableError("no tick yet");
  if (latest_->outcome.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the latest tick failed: ", latest_->outcome.message()));
}

std::optional<TickView> SchedulerPass::LatestTick() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

absl::Status SchedulerPass::Tick(std::stop_token stop, TickView& view) {
  absl::Status streamed;
  failpoint::Hit("scheduler.before_candidates");
  const Due due = DecideAll(stop, view, streamed);
  failpoint::Hit("scheduler.after_candidates");
  // What was read before the stream broke is due all the same.
  RETURN_IF_ERROR(ApplyAll(view.tick, stop, due, view.amounts));
  RETURN_IF_ERROR(streamed);
  if (latest_tick_) {
    view.amounts.missed = std::max<int64_t>(0, (view.tick - *latest_tick_) / absl::Minutes(1) - 1);
  }
  latest_tick_ = view.tick;
  return absl::OkStatus();
}

SchedulerPass::Due SchedulerPass::DecideAll(std::stop_token stop, TickView& view,
                                            absl::Status& outcome) {
  Due due;
  outcome = client_.StreamCandidates(
      view.tick, stop, [&](const lifecycle::LifecycleCandidate& candidate) {
        metrics_.RecordCandidate();
        ++view.amounts.candidates;
        const lifecycle::Decision decision =
            lifecycle::NextTransition(candidate.snapshot, view.tick);
        if (!decision.schedule_error.empty()) ++view.broken_schedules;
        for (const LifecycleProposal& proposal : ProposalsFor(candidate, decision)) {
          metrics_.RecordDecision(proposal.kind);
          ++view.amounts.decisions;
          const bool spread = proposal.kind == LifecycleKind::kAutostart;
          due.proposals.push_back(proposal);
          due.since.push_back(proposal.nominal_time + (spread ? candidate.snapshot.autostart_offset
                                                              : absl::ZeroDuration()));
        }
      });
  if (outcome.ok()) metrics_.SetBrokenSchedules(view.broken_schedules);
  return due;
}

absl::Status SchedulerPass::ApplyAll(absl::Time tick, std::stop_token stop, const Due& due,
                                     SchedulerMetrics::Tick& amounts) {
  for (size_t begin = 0; begin < due.proposals.size(); begin += kMaxProposals) {
    if (stop.stop_requested()) return absl::CancelledError("apply lifecycle decisions: stopping");
    const size_t end = std::min(due.proposals.size(), begin + kMaxProposals);
    const std::vector<LifecycleProposal> batch(
        due.proposals.begin() + static_cast<std::ptrdiff_t>(begin),
        due.proposals.begin() + static_cast<std::ptrdiff_t>(end));
    failpoint::Hit("scheduler.before_batch");
    const absl::Duration sent = clock_.MonotonicNow();
    ASSIGN_OR_RETURN(const auto results, client_.Apply(tick, batch));
    metrics_.RecordBatch(clock_.MonotonicNow() - sent);
    const absl::Time now = clock_.Now();
    for (size_t i = 0; i < results.size(); ++i) {
      Note(batch[i], results[i], now - due.since[begin + i], amounts);
    }
  }
  return absl::OkStatus();
}

void SchedulerPass::Note(const LifecycleProposal& proposal,
                         const lifecycle::LifecycleResult& result, absl::Duration lag,
                         SchedulerMetrics::Tick& amounts) {
  metrics_.RecordOutcome(proposal, result, lag);
  const bool open = result.reason == "NO_PROVISIONER" || result.reason == "WRITE_FAILED";
  if (open && proposal.kind == LifecycleKind::kAutostart) ++amounts.backlog;
  if (result.outcome == lifecycle::LifecycleOutcome::kNotDue) return;
  log::Debug("lifecycle decision", {{"workspace_id", proposal.workspace_id.ToString()},
                                    {"kind", lifecycle::ToString(proposal.kind)},
                                    {"nominal_time", proposal.nominal_time},
                                    {"attempt", proposal.attempt},
                                    {"outcome", lifecycle::ToString(result.outcome)},
                                    {"reason", result.reason}});
}

}  // namespace coder::scheduler
