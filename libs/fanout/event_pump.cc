#include "libs/fanout/event_pump.h"

#include <algorithm>
#include <utility>

#include "libs/failpoint/failpoint.h"

namespace coder::fanout {

absl::Status EventPump::Prime() {
  std::lock_guard lock(mu_);
  return PrimeLocked();
}

absl::Status EventPump::PrimeLocked() {
  const auto bounds = log_.Bounds();
  if (!bounds.ok()) {
    ++counters_.log_failures;
    return bounds.status();
  }
  const int64_t start = std::max(bounds->floor - 1, bounds->head - options_.prime_events);
  hub_.Reset(bounds->epoch, std::max<int64_t>(start, 0));
  const absl::Status caught_up = CatchUp();
  primed_ = caught_up.ok();
  return caught_up;
}

void EventPump::Deliver(std::shared_ptr<const events::Pack> pack) {
  std::lock_guard lock(mu_);
  ++counters_.stream_packs;
  // Whatever is dropped here is in the log, and the log is read while there is doubt.
  if (!primed_) return;
  if (in_doubt_ && !CatchUp().ok()) return;
  Take(std::move(pack));
}

void EventPump::Take(std::shared_ptr<const events::Pack> pack) {
  Ring::Outcome outcome = hub_.Admit(pack);
  counters_.dropped_events += outcome.dropped;
  if (outcome.admission == Ring::Admission::kGap ||
      outcome.admission == Ring::Admission::kNewEpoch) {
    if (outcome.admission == Ring::Admission::kGap) ++counters_.gaps;
    in_doubt_ = true;
    // Nothing past what the log holds is admitted: a pack the log does not know is not an event.
    if (CatchUp().ok()) outcome = hub_.Admit(std::move(pack));
  }
  switch (outcome.admission) {
    case Ring::Admission::kConflict:
      ++counters_.conflicts;
      primed_ = false;
      in_doubt_ = true;
      return;
    case Ring::Admission::kOldEpoch:
      ++counters_.old_epoch_packs;
      return;
    case Ring::Admission::kGap:
    case Ring::Admission::kNewEpoch:
      in_doubt_ = true;
      return;
    case Ring::Admission::kAdmitted:
    case Ring::Admission::kDuplicate:
      return;
  }
}

absl::Status EventPump::CatchUp() {
  if (primed_ && failpoint::IsOn("off.gap_fill")) return absl::OkStatus();
  const auto bounds = log_.Bounds();
  if (!bounds.ok()) {
    ++counters_.log_failures;
    return bounds.status();
  }
  Ring::Bounds ring = hub_.ring().bounds();
  // Behind the floor the ring cannot be continued, only begun anew; watchers meet it via the log.
  if (ring.epoch != bounds->epoch || ring.head > bounds->head || ring.head + 1 < bounds->floor) {
    const int64_t start = std::max(bounds->floor - 1, bounds->head - options_.prime_events);
    hub_.Reset(bounds->epoch, std::max<int64_t>(start, 0));
    ring = hub_.ring().bounds();
  }
  while (ring.head < bounds->head) {
    auto packs = log_.Read(ring.head, bounds->head, options_.read_events);
    if (!packs.ok() || packs->empty()) {
      ++counters_.log_failures;
      return packs.ok() ? absl::UnavailableError("read event log: it ends before its head")
                        : packs.status();
    }
    for (auto& pack : *packs) {
      ++counters_.log_packs;
      const auto outcome = hub_.Admit(std::move(pack));
      if (outcome.admission == Ring::Admission::kConflict) {
        ++counters_.conflicts;
        primed_ = false;
        return absl::DataLossError("read event log: it disagrees with the stream");
      }
    }
    const int64_t before = ring.head;
    ring = hub_.ring().bounds();
    if (ring.head == before) {
      ++counters_.log_failures;
      return absl::UnavailableError("read event log: it does not continue the ring");
    }
  }
  in_doubt_ = false;
  return absl::OkStatus();
}

void EventPump::StreamUp() {
  std::lock_guard lock(mu_);
  stream_up_ = true;
  in_doubt_ = true;
  if (primed_) (void)CatchUp();  // a failure leaves the doubt, which Tick() takes up
}

void EventPump::StreamDown() {
  std::lock_guard lock(mu_);
  stream_up_ = false;
  in_doubt_ = true;
}

void EventPump::Tick(absl::Duration now) {
  std::lock_guard lock(mu_);
  const bool lively = stream_up_ && !in_doubt_ && primed_;
  if (now - read_at_ < (lively ? options_.check_interval : options_.poll_interval)) return;
  read_at_ = now;
  (void)(primed_ ? CatchUp() : PrimeLocked());  // counted; the next tick tries again
}

bool EventPump::primed() const { return primed_; }

bool EventPump::follows_stream() const {
  std::lock_guard lock(mu_);
  return primed_ && stream_up_ && !in_doubt_;
}

EventPump::Counters EventPump::counters() const {
  std::lock_guard lock(mu_);
  return counters_;
}

}  // namespace coder::fanout
