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
    proposals.push_back({candidate.workspace_id, LifecycleKind::kAutostart, slot.nominal_time});
  }
  if (!decision.schedule_error.empty()) {
    proposals.push_back(
        {candidate.workspace_id, LifecycleKind::kAutostart, candidate.snapshot.build_created_at});
  }
  if (decision.action != lifecycle::LifecycleAction::kNone) {
    proposals.push_back({candidate.workspace_id, decision.kind, decision.nominal_time});
  }
  return proposals;
}

}  // namespace

absl::StatusOr<server::PassOutcome> SchedulerPass::Run(std::stop_token stop) {
  absl::Status outcome = Tick(MinuteOf(clock_.Now()), stop);
  {
    const std::lock_guard lock(mutex_);
    latest_ =
        outcome.ok()
            ? outcome
            : absl::UnavailableError(absl::StrCat("the latest tick failed: ", outcome.message()));
  }
  RETURN_IF_ERROR(outcome);
  return server::PassOutcome::kIdle;
}

absl::Status SchedulerPass::LatestOutcome() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

absl::Status SchedulerPass::Tick(absl::Time tick, std::stop_token stop) {
  const absl::Duration begin = clock_.MonotonicNow();
  absl::Status streamed;
  failpoint::Hit("scheduler.before_candidates");
  const std::vector<LifecycleProposal> proposals = DecideAll(tick, stop, streamed);
  failpoint::Hit("scheduler.after_candidates");
  // What was read before the stream broke is due all the same.
  RETURN_IF_ERROR(ApplyAll(tick, stop, proposals));
  RETURN_IF_ERROR(streamed);
  const int64_t missed =
      latest_tick_ ? std::max<int64_t>(0, (tick - *latest_tick_) / absl::Minutes(1) - 1) : 0;
  latest_tick_ = tick;
  metrics_.RecordTick(clock_.MonotonicNow() - begin, missed);
  return absl::OkStatus();
}

std::vector<LifecycleProposal> SchedulerPass::DecideAll(absl::Time tick, std::stop_token stop,
                                                        absl::Status& outcome) {
  std::vector<LifecycleProposal> proposals;
  int64_t broken_schedules = 0;
  outcome =
      client_.StreamCandidates(tick, stop, [&](const lifecycle::LifecycleCandidate& candidate) {
        metrics_.RecordCandidate();
        const lifecycle::Decision decision = lifecycle::NextTransition(candidate.snapshot, tick);
        if (!decision.schedule_error.empty()) ++broken_schedules;
        for (const LifecycleProposal& proposal : ProposalsFor(candidate, decision)) {
          metrics_.RecordDecision(proposal.kind);
          proposals.push_back(proposal);
        }
      });
  if (outcome.ok()) metrics_.SetBrokenSchedules(broken_schedules);
  return proposals;
}

absl::Status SchedulerPass::ApplyAll(absl::Time tick, std::stop_token stop,
                                     const std::vector<LifecycleProposal>& proposals) {
  for (size_t begin = 0; begin < proposals.size(); begin += kMaxProposals) {
    if (stop.stop_requested()) return absl::CancelledError("apply lifecycle decisions: stopping");
    const size_t end = std::min(proposals.size(), begin + kMaxProposals);
    const std::vector<LifecycleProposal> batch(
        proposals.begin() + static_cast<std::ptrdiff_t>(begin),
        proposals.begin() + static_cast<std::ptrdiff_t>(end));
    failpoint::Hit("scheduler.before_batch");
    ASSIGN_OR_RETURN(const auto results, client_.Apply(tick, batch));
    const absl::Time now = clock_.Now();
    for (size_t i = 0; i < results.size(); ++i) {
      metrics_.RecordOutcome(batch[i].kind, results[i], now - batch[i].nominal_time);
      if (results[i].outcome == lifecycle::LifecycleOutcome::kNotDue) continue;
      log::Debug("lifecycle decision", {{"workspace_id", batch[i].workspace_id.ToString()},
                                        {"kind", lifecycle::ToString(batch[i].kind)},
                                        {"nominal_time", batch[i].nominal_time},
                                        {"outcome", lifecycle::ToString(results[i].outcome)},
                                        {"reason", results[i].reason}});
    }
  }
  return absl::OkStatus();
}

}  // namespace coder::scheduler
