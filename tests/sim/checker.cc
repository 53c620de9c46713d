#include "tests/sim/checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coder::sim {
namespace {

constexpr size_t kMostViolations = 5;

using fanout::EndingKind;

events::EventKeys KeysOf(const Committed& event) {
  return {.organization_id = event.organization,
          .owner_id = event.owner,
          .workspace_id = event.workspace,
          .workspace_version = event.version};
}

}  // namespace

int64_t Checker::Write(Committed event) {
  events_.push_back(std::move(event));
  return static_cast<int64_t>(events_.size()) - 1;
}

void Checker::Sequence(int64_t epoch, int64_t position, int64_t serial) {
  std::vector<int64_t>& order = history_[epoch];
  const auto at = static_cast<size_t>(position - 1);
  if (at < order.size()) {
    if (order[at] != serial) {
      Fail("Epoch", absl::StrCat("position ", position, " of epoch ", epoch, " was given twice"));
      order[at] = serial;
    }
    return;
  }
  if (at > order.size()) Fail("Dense", absl::StrCat("position ", position, " leaves a hole"));
  order.resize(at);
  order.push_back(serial);
}

void Checker::BeginEpoch(int64_t epoch, int64_t next, int64_t head) {
  if (history_.contains(next)) Fail("Epoch", absl::StrCat("epoch ", next, " began twice"));
  std::vector<int64_t> kept = history_[epoch];
  kept.resize(static_cast<size_t>(head));
  history_[next] = std::move(kept);
  set_back_ = false;
}

void Checker::ChangeRights(const std::string& caller, absl::Duration now,
                           events::WatchRights rights, bool admitted) {
  rights_[caller].push_back({.time = now, .rights = std::move(rights), .admitted = admitted});
}

Checker::Admission Checker::AdmissionOf(const Chain& chain, const Committed& event,
                                        absl::Duration now) const {
  if (!event.readable) return {.always = true, .ever = true};
  const events::EventKeys keys = KeysOf(event);
  if (!chain.filter.Admits(keys)) return {.always = false, .ever = false};
  Admission admission;
  const std::vector<RightsSince>& changes = rights_.at(chain.caller);
  for (size_t i = 0; i < changes.size(); ++i) {
    const bool over_by_then = i + 1 < changes.size() && changes[i + 1].time < now - max_rights_age_;
    if (over_by_then || changes[i].time > now) continue;
    const bool admits = changes[i].admitted && changes[i].rights.Admits(keys);
    admission.always = admission.always && admits;
    admission.ever = admission.ever || admits;
  }
  return admission;
}

void Checker::Receive(Chain& chain, const fanout::Step& step,
                      const std::vector<Examined>& examined) {
  const auto history = history_.find(step.token.epoch);
  if (step.token.epoch != chain.epoch || history == history_.end()) {
    return Fail("Epoch", absl::StrCat(chain.client, " of epoch ", chain.epoch,
                                      " was sent something of epoch ", step.token.epoch));
  }
  if (step.token.position < chain.cursor) {
    Fail("Ordered",
         absl::StrCat(chain.client, " went from ", chain.cursor, " back to ", step.token.position));
  }
  if (step.token.position > static_cast<int64_t>(history->second.size())) {
    return Fail("OnlyCommitted", absl::StrCat(chain.client, " is at ", step.token.position,
                                              ", beyond the log of its epoch"));
  }
  const std::map<int64_t, int64_t> sent = EventsOf(chain, step);
  CheckRange(chain, step, sent, examined);
  chain.cursor = std::max(chain.cursor, step.token.position);
}

std::map<int64_t, int64_t> Checker::EventsOf(Chain& chain, const fanout::Step& step) {
  std::map<int64_t, int64_t> sent;
  const std::vector<int64_t>& order = history_[chain.epoch];
  int64_t last = chain.cursor;
  for (const fanout::Run& run : step.runs) {
    for (int64_t p = run.pack->first_position(); p <= run.pack->last_position(); ++p) {
      const events::EventSlice& slice = run.pack->at(p);
      const bool inside = run.bytes.empty()
                              ? p == run.unreadable_position
                              : slice.framed.data() >= run.bytes.data() &&
                                    slice.framed.data() < run.bytes.data() + run.bytes.size();
      if (!inside) continue;
      if (p <= chain.cursor) {
        Fail("Unique", absl::StrCat(chain.client, " at ", chain.cursor, " was sent ", p, " again"));
      } else if (p <= last) {
        Fail("Ordered", absl::StrCat(chain.client, " was sent ", p, " after ", last));
      }
      if (p > step.token.position) {
        Fail("BookmarkTrue",
             absl::StrCat(chain.client, " was sent ", p, " with a token of ", step.token.position));
      }
      last = std::max(last, p);
      if (p > static_cast<int64_t>(order.size())) continue;
      sent[p] = order[static_cast<size_t>(p - 1)];
      CheckEvent(chain, p, slice);
    }
  }
  return sent;
}

void Checker::CheckEvent(Chain& chain, int64_t position, const events::EventSlice& slice) {
  ++chain.received;
  const int64_t serial = history_[chain.epoch][static_cast<size_t>(position - 1)];
  const Committed& event = events_[static_cast<size_t>(serial)];
  const bool same = event.readable ? slice.framed == event.framed : !slice.readable;
  if (!event.committed || !same) {
    Fail("OnlyCommitted", absl::StrCat(chain.client, " was sent at ", position,
                                       " what its log of epoch ", chain.epoch, " does not hold"));
  }
  if (!event.readable) return;
  int64_t& version = chain.versions[event.workspace];
  const bool every_version = chain.filter.AdmitsAll() && rights_[chain.caller].size() == 1 &&
                             rights_[chain.caller].front().rights.everything;
  if (event.version <= version) {
    Fail("Unique", absl::StrCat(chain.client, " was sent ", event.workspace, "/", event.version,
                                " after ", version));
  } else if (every_version && version > 0 && event.version != version + 1) {
    Fail("Ordered", absl::StrCat(chain.client, " was sent ", event.workspace, "/", event.version,
                                 " right after ", version));
  }
  version = std::max(version, event.version);
}

void Checker::CheckRange(Chain& chain, const fanout::Step& step,
                         const std::map<int64_t, int64_t>& sent,
                         const std::vector<Examined>& examined) {
  auto look = examined.begin();
  const std::vector<int64_t>& order = history_[chain.epoch];
  for (int64_t p = chain.cursor + 1; p <= step.token.position; ++p) {
    const Committed& event = events_[static_cast<size_t>(order[static_cast<size_t>(p - 1)])];
    while (look + 1 != examined.end() && look->up_to < p) ++look;
    const Admission admission = AdmissionOf(chain, event, look->at);
    if (admission.always && !sent.contains(p)) {
      Fail("Gapless", absl::StrCat(chain.client, " was not sent ", p, " before a token of ",
                                   step.token.position));
    }
    if (!admission.ever && sent.contains(p)) {
      Fail("OnlyPermitted", absl::StrCat(chain.client, " was sent ", p, ", ", event.workspace,
                                         " of ", event.owner, " in ", event.organization));
    }
  }
}

void Checker::End(const Chain& chain, const fanout::Ending& ending, absl::Duration now) {
  const auto fail = [&](const char* why) {
    Fail("TypedEndings", absl::StrCat(chain.client, " of epoch ", chain.epoch, " at ", chain.cursor,
                                      ": ", why, ": ", ending.message));
  };
  switch (ending.kind) {
    case EndingKind::kTooOld:
    case EndingKind::kFellBehind:
      if (chain.cursor + 1 >= highest_floor_) fail("nothing after its token was dropped");
      break;
    case EndingKind::kEpochChanged:
      if (chain.epoch >= history_.rbegin()->first && !set_back_) fail("no later epoch has begun");
      break;
    case EndingKind::kForbidden: {
      const std::vector<RightsSince>& changes = rights_.at(chain.caller);
      const bool ever = std::any_of(changes.begin(), changes.end(),
                                    [now](const auto& c) { return !c.admitted && c.time <= now; });
      if (!ever) fail("it had its rights all the time");
      break;
    }
    case EndingKind::kTokenFuture:
    case EndingKind::kTokenForeign:
      if (!set_back_ && chain.epoch >= history_.rbegin()->first)
        fail("its token is of a log that was there");
      break;
    case EndingKind::kConflict:
      if (!set_back_) fail("there is only one log");
      break;
    case EndingKind::kTooManyWatches:
    case EndingKind::kUnauthenticated:
      fail("nothing in this run may end so");
      break;
    case EndingKind::kDraining:
    case EndingKind::kAged:
    case EndingKind::kUnavailable:
      break;
  }
}

void Checker::Fail(const std::string& validator, const std::string& what) {
  if (violations_.size() < kMostViolations) {
    violations_.push_back(absl::StrCat(validator, ": ", what));
  }
}

}  // namespace coder::sim
