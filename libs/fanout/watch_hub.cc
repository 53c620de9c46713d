#include "libs/fanout/watch_hub.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coder::fanout {

Ring::Outcome WatchHub::Admit(std::shared_ptr<const events::Pack> pack) {
  const Ring::Outcome outcome = ring_.Admit(std::move(pack));
  if (outcome.admission == Ring::Admission::kConflict) {
    EndAll({.kind = EndingKind::kConflict,
            .message = absl::StrCat("two different events were seen at position ",
                                    outcome.missing_up_to, "; take a snapshot")});
  } else if (outcome.admission == Ring::Admission::kAdmitted) {
    WakeParked();
  }
  return outcome;
}

void WatchHub::Reset(int64_t epoch, int64_t head) {
  const int64_t old_epoch = ring_.bounds().epoch;
  ring_.Reset(epoch, head);
  if (epoch != old_epoch) EndAll(EpochEnding(old_epoch));
  WakeParked();
}

std::variant<std::shared_ptr<Watcher>, Ending> WatchHub::Open(
    Watcher::Options options, std::optional<events::ResumeToken> start, LogReader& log,
    absl::Duration now) {
  const Ring::Bounds bounds = ring_.bounds();
  if (!start) start = events::ResumeToken{.epoch = bounds.epoch, .position = bounds.head};
  const bool unverified = start->event_hash == 0;
  if (auto refusal = Refusal(*start, log)) return *std::move(refusal);
  if (unverified) {
    auto token = TokenAt(start->position, log);
    if (!token.ok()) {
      return Ending{.kind = EndingKind::kUnavailable,
                    .message = "the event log cannot be read now; try again in a moment"};
    }
    start->event_hash = token->event_hash;
  }
  std::lock_guard lock(mu_);
  auto& own = by_caller_[options.caller_id];
  if (watches_ >= limits_.watches || own.size() >= limits_.watches_per_caller) {
    const size_t limit =
        own.size() >= limits_.watches_per_caller ? limits_.watches_per_caller : limits_.watches;
    if (own.empty()) by_caller_.erase(options.caller_id);
    return Ending{.kind = EndingKind::kTooManyWatches,
                  .message = absl::StrCat("open watch: ", limit,
                                          " watches are open, the most allowed; end another "
                                          "one or wait")};
  }
  std::shared_ptr<Watcher> watcher(new Watcher(*this, std::move(options), *start, now));
  own.push_back(watcher);
  ++watches_;
  return watcher;
}

std::optional<Ending> WatchHub::Refusal(const events::ResumeToken& start, LogReader& log) const {
  const Ring::Bounds bounds = ring_.bounds();
  if (start.epoch < bounds.epoch) return EpochEnding(start.epoch);
  if (start.epoch > bounds.epoch) {
    // Another replica may have heard of a new epoch before this one.
    const auto log_bounds = log.Bounds();
    if (!log_bounds.ok() || log_bounds->epoch >= start.epoch) {
      return Ending{.kind = EndingKind::kUnavailable,
                    .message = "the event log cannot be read now; try again in a moment"};
    }
    return Ending{
        .kind = EndingKind::kTokenFuture,
        .message = absl::StrCat("the token is of epoch ", start.epoch, ", the log of epoch ",
                                log_bounds->epoch, "; take a snapshot")};
  }
  // Only a token of a client carries a hash, and only that one is to be doubted.
  if (start.event_hash == 0) return std::nullopt;
  const auto token = TokenAt(start.position, log);
  if (token.ok() && token->event_hash == start.event_hash) return std::nullopt;
  if (token.ok()) {
    return Ending{.kind = EndingKind::kTokenForeign,
                  .message = "the token is not of this deployment's log; take a snapshot"};
  }
  const auto log_bounds = log.Bounds();
  if (!log_bounds.ok() || token.status().code() != absl::StatusCode::kOutOfRange) {
    return Ending{.kind = EndingKind::kUnavailable,
                  .message = "the event log cannot be read now; try again in a moment"};
  }
  if (start.position > log_bounds->head) {
    return Ending{
        .kind = EndingKind::kTokenFuture,
        .message = absl::StrCat("the token is at position ", start.position, ", the log's head is ",
                                log_bounds->head, "; take a snapshot"),
        .floor = log_bounds->floor - 1,
        .head = log_bounds->head};
  }
  // The event itself is gone, but everything after it is kept.
  if (start.position + 1 >= log_bounds->floor) return std::nullopt;
  return Ending{.kind = EndingKind::kTooOld,
                .message = absl::StrCat("events after position ", start.position,
                                        " are no longer kept, only those after ",
                                        log_bounds->floor - 1, "; take a snapshot"),
                .floor = log_bounds->floor - 1,
                .head = log_bounds->head};
}

void WatchHub::Close(const std::shared_ptr<Watcher>& watcher) {
  std::lock_guard lock(mu_);
  if (watcher->parked_) std::erase(parked_, watcher);
  const auto it = by_caller_.find(watcher->caller_id());
  if (it == by_caller_.end()) return;
  watches_ -= std::erase(it->second, watcher);
  if (it->second.empty()) by_caller_.erase(it);
}

void WatchHub::Tick(absl::Duration now) {
  std::vector<std::shared_ptr<Watcher>> due;
  {
    std::lock_guard lock(mu_);
    const auto first = std::partition(parked_.begin(), parked_.end(),
                                      [now](const auto& w) { return w->due_ > now; });
    due.assign(first, parked_.end());
    parked_.erase(first, parked_.end());
    for (const auto& watcher : due) watcher->parked_ = false;
  }
  for (const auto& watcher : due) watcher->options_.wake();
}

bool WatchHub::Park(std::shared_ptr<Watcher> watcher, int64_t position, int64_t epoch,
                    absl::Duration due) {
  std::lock_guard lock(mu_);
  // Under the lock that WakeParked() takes after the head moved: either this sees the new head or
  // the wake sees the parked watcher.
  const Ring::Bounds bounds = ring_.bounds();
  if (bounds.head > position || bounds.epoch != epoch) return false;
  watcher->due_ = due;
  if (watcher->parked_) return true;
  watcher->parked_ = true;
  parked_.push_back(std::move(watcher));
  return true;
}

void WatchHub::Postpone(Watcher& watcher, absl::Duration due) {
  std::lock_guard lock(mu_);
  if (watcher.parked_) watcher.due_ = due;
}

void WatchHub::WakeParked() {
  std::vector<std::shared_ptr<Watcher>> woken;
  {
    std::lock_guard lock(mu_);
    woken.swap(parked_);
    for (const auto& watcher : woken) watcher->parked_ = false;
  }
  for (const auto& watcher : woken) watcher->options_.wake();
}

std::vector<std::string> WatchHub::Callers() const {
  std::lock_guard lock(mu_);
  std::vector<std::string> callers;
  callers.reserve(by_caller_.size());
  for (const auto& [caller, watchers] : by_caller_) callers.push_back(caller);
  return callers;
}

void WatchHub::ReplaceRights(const std::string& caller_id,
                             std::shared_ptr<const events::WatchRights> rights,
                             absl::Duration checked_at) {
  for (const auto& watcher : WatchersOf(&caller_id)) watcher->ReplaceRights(rights, checked_at);
}

void WatchHub::EndCaller(const std::string& caller_id, const Ending& ending) {
  for (const auto& watcher : WatchersOf(&caller_id)) watcher->End(ending);
}

void WatchHub::EndAll(const Ending& ending) {
  for (const auto& watcher : WatchersOf(nullptr)) watcher->End(ending);
}

size_t WatchHub::watches() const {
  std::lock_guard lock(mu_);
  return watches_;
}

std::vector<std::shared_ptr<Watcher>> WatchHub::WatchersOf(const std::string* caller_id) const {
  std::lock_guard lock(mu_);
  std::vector<std::shared_ptr<Watcher>> found;
  for (const auto& [caller, watchers] : by_caller_) {
    if (caller_id && caller != *caller_id) continue;
    found.insert(found.end(), watchers.begin(), watchers.end());
  }
  return found;
}

absl::StatusOr<events::ResumeToken> WatchHub::TokenAt(int64_t position, LogReader& log) const {
  const int64_t epoch = ring_.bounds().epoch;
  if (position == 0) return events::ResumeToken{.epoch = epoch};
  if (const auto hash = ring_.EventHashAt(position)) {
    return events::ResumeToken{.epoch = epoch, .position = position, .event_hash = *hash};
  }
  auto packs = log.Read(position - 1, position, 1);
  if (!packs.ok()) return packs.status();
  if (packs->empty()) {
    return absl::OutOfRangeError(absl::StrCat("read event ", position, ": the log ends before it"));
  }
  const auto& pack = *packs->front();
  if (pack.epoch() != epoch) {
    return absl::UnavailableError(
        absl::StrCat("read event ", position, ": the log is of another epoch"));
  }
  return events::ResumeToken{
      .epoch = epoch, .position = position, .event_hash = events::EventHash(pack.at(position))};
}

Ending WatchHub::EpochEnding(int64_t old_epoch) const {
  return {.kind = EndingKind::kEpochChanged,
          .message = absl::StrCat("the log was set back and is of epoch ", ring_.bounds().epoch,
                                  " instead of ", old_epoch, "; take a snapshot")};
}

}  // namespace coder::fanout
