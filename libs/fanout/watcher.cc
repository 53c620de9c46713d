#include "libs/fanout/watcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/failpoint/failpoint.h"
#include "libs/fanout/watch_hub.h"

namespace coder::fanout {
namespace {

// Bounds the time the ring's lock is held for one watcher.
constexpr size_t kPacksPerRefill = 64;
constexpr int64_t kEventsPerLogRead = 4096;

}  // namespace

Watcher::Watcher(WatchHub& hub, Options options, events::ResumeToken start, absl::Duration now)
    : hub_(hub),
      options_(std::move(options)),
      rights_(options_.rights),
      rights_checked_at_(options_.rights_checked_at.value_or(now)),
      last_write_at_(now),
      epoch_(start.epoch),
      cursor_(start.position),
      start_hash_(start.event_hash) {}

Step Watcher::Next(absl::Duration now, size_t max_bytes) {
  std::lock_guard lock(mu_);
  if (auto step = Ended(now)) return *std::move(step);
  if (write_in_flight_) return {.kind = Step::Kind::kWait};
  awaits_rights_ = now - rights_checked_at_ > options_.max_rights_age;
  if (awaits_rights_) return {.kind = Step::Kind::kCheckRights};
  std::vector<Run> runs;
  for (;;) {
    if (pending_.empty() && !Refill()) {
      if (ending_) return {.kind = Step::Kind::kEnd, .ending = *ending_};
      return {.kind = Step::Kind::kReadLog};
    }
    Examine(max_bytes, runs);
    if (!runs.empty()) return WriteStep(Step::Kind::kSend, now, std::move(runs));
    if (!pending_.empty()) continue;
    Step quiet = Quiet(now);
    // The head moved between the last look and parking.
    if (quiet.kind == Step::Kind::kSend) continue;
    return quiet;
  }
}

std::optional<Step> Watcher::Ended(absl::Duration now) {
  if (!ending_ && now >= options_.end_at) {
    SetEnding({.kind = EndingKind::kAged,
               .message = "the watch reached its age; resume from the last token"});
  }
  if (!ending_) return std::nullopt;
  return Step{.kind = Step::Kind::kEnd, .ending = *ending_};
}

bool Watcher::Refill() {
  std::vector<Ring::Span> spans;
  const auto bounds = hub_.ring().Read(cursor_, kPacksPerRefill, spans);
  if (hub_.ring().bounds().epoch != epoch_) {
    SetEnding(hub_.EpochEnding(epoch_));
    return false;
  }
  if (!bounds) return false;
  pending_ = std::move(spans);
  return true;
}

void Watcher::Examine(size_t max_bytes, std::vector<Run>& runs) {
  size_t bytes = 0;
  for (; examined_ < pending_.size(); ++examined_) {
    Ring::Span& span = pending_[examined_];
    for (; span.from <= span.pack->last_position(); ++span.from) {
      const events::EventSlice& event = span.pack->at(span.from);
      const bool admitted =
          !event.readable || (options_.filter.Admits(event.keys) &&
                              (rights_->Admits(event.keys) || failpoint::IsOn("off.rights_check")));
      if (admitted) {
        if (!runs.empty() && bytes + event.framed.size() > max_bytes) return;
        bytes += event.framed.size();
        Append(span, event, span.from, runs);
      } else {
        ++left_out_;
      }
      cursor_ = span.from;
      cursor_pack_ = span.pack;
    }
    span.pack.reset();
  }
  // Not only emptied: an idle watch is to hold nothing.
  pending_ = {};
  examined_ = 0;
}

void Watcher::Append(const Ring::Span& span, const events::EventSlice& event, int64_t position,
                     std::vector<Run>& runs) const {
  if (!event.readable) {
    runs.push_back({.pack = span.pack, .events = 1, .unreadable_position = position});
    return;
  }
  if (!runs.empty()) {
    Run& last = runs.back();
    const bool adjoins = !last.bytes.empty() && last.pack == span.pack &&
                         last.bytes.data() + last.bytes.size() == event.framed.data();
    if (adjoins) {
      last.bytes = std::string_view(last.bytes.data(), last.bytes.size() + event.framed.size());
      ++last.events;
      return;
    }
  }
  runs.push_back({.pack = span.pack, .bytes = event.framed, .events = 1});
}

Step Watcher::Quiet(absl::Duration now) {
  if (now >= last_write_at_ + options_.bookmark_interval) {
    return WriteStep(Step::Kind::kBookmark, now, {});
  }
  const bool parked = hub_.Park(shared_from_this(), cursor_, epoch_, Due());
  return {.kind = parked ? Step::Kind::kWait : Step::Kind::kSend};
}

absl::Duration Watcher::Due() const {
  return std::min({last_write_at_ + options_.bookmark_interval, options_.end_at,
                   rights_checked_at_ + options_.max_rights_age});
}

Step Watcher::WriteStep(Step::Kind kind, absl::Duration now, std::vector<Run> runs) {
  write_in_flight_ = true;
  has_sent_ = true;
  last_write_at_ = now;
  return {.kind = kind,
          .runs = std::move(runs),
          .token = TokenLocked(),
          .left_out = std::exchange(left_out_, 0)};
}

void Watcher::WriteDone() {
  std::lock_guard lock(mu_);
  write_in_flight_ = false;
}

absl::Status Watcher::ReadLog(LogReader& log) {
  int64_t after = 0;
  {
    std::lock_guard lock(mu_);
    if (ending_ || !pending_.empty()) return absl::OkStatus();
    after = cursor_;
  }
  const int64_t up_to = hub_.ring().bounds().floor - 1;
  if (after >= up_to) return absl::OkStatus();
  auto packs = log.Read(after, up_to, kEventsPerLogRead);
  // Asked without the lock: nobody who ends the watch or tells it its rights waits for the log.
  const bool too_old = packs.status().code() == absl::StatusCode::kOutOfRange;
  const auto bounds = too_old ? log.Bounds() : LogBounds();
  std::lock_guard lock(mu_);
  if (too_old) {
    SetEnding({.kind = has_sent_ ? EndingKind::kFellBehind : EndingKind::kTooOld,
               .message = absl::StrCat("events after position ", after,
                                       " are no longer kept; take a snapshot"),
               .floor = bounds.ok() ? bounds->floor - 1 : 0,
               .head = bounds.ok() ? bounds->head : 0});
    return absl::OkStatus();
  }
  if (!packs.ok()) return packs.status();
  if (packs->empty()) return absl::UnavailableError("read event log: it ends before the ring");
  for (auto& pack : *packs) {
    if (pack->epoch() > epoch_) {
      SetEnding(hub_.EpochEnding(epoch_));
      return absl::OkStatus();
    }
    // Restored to another history, whose next epoch has yet to begin.
    if (pack->epoch() < epoch_) return absl::UnavailableError("read event log: it was set back");
    const int64_t from = std::max(pack->first_position(), after + 1);
    if (from > after + 1) return absl::DataLossError("read event log: positions are missing");
    after = pack->last_position();
    pending_.push_back({.pack = std::move(pack), .from = from});
  }
  return absl::OkStatus();
}

void Watcher::ReplaceRights(std::shared_ptr<const events::WatchRights> rights,
                            absl::Duration checked_at) {
  bool has_to_look = false;
  {
    std::lock_guard lock(mu_);
    // Two who ask at once may be answered in either order.
    if (checked_at < rights_checked_at_) return;
    has_to_look = awaits_rights_ || rights_ != rights;
    rights_ = std::move(rights);
    rights_checked_at_ = checked_at;
    // A quiet watch whose rights stand sleeps on: thousands of them are asked about at once.
    if (!has_to_look) hub_.Postpone(*this, Due());
  }
  if (has_to_look) options_.wake();
}

void Watcher::End(Ending ending) {
  {
    std::lock_guard lock(mu_);
    SetEnding(std::move(ending));
  }
  options_.wake();
}

events::ResumeToken Watcher::token() const {
  std::lock_guard lock(mu_);
  return TokenLocked();
}

events::ResumeToken Watcher::TokenLocked() const {
  const uint32_t hash = cursor_pack_ ? events::EventHash(cursor_pack_->at(cursor_)) : start_hash_;
  return {.epoch = epoch_, .position = cursor_, .event_hash = hash};
}

void Watcher::SetEnding(Ending ending) {
  if (!ending_) ending_ = std::move(ending);
}

}  // namespace coder::fanout
