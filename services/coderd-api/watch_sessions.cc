#include "services/coderd-api/watch_sessions.h"

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

constexpr absl::Duration kCheckLimit = absl::Seconds(2);
constexpr absl::Duration kSnapshotRetry = absl::Seconds(1);
constexpr absl::Duration kQuietTick = absl::Seconds(1);

absl::Status TooMany(int limit, absl::string_view what) {
  return status::WithReason(
      absl::ResourceExhaustedError(absl::StrCat("watch builds: ", limit, " ", what,
                                                ", the most allowed; close one or wait")),
      "TOO_MANY_WATCHES");
}

absl::Status TooManySnapshots(int limit) {
  const absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat("watch builds: ", limit, " snapshots are under way on this replica, the most ",
                   "allowed; try again in a moment, or resume from a token"));
  return status::WithRetryAfter(status::WithReason(status, "TOO_MANY_SNAPSHOTS"), kSnapshotRetry);
}

absl::Status Draining() {
  return status::WithReason(
      absl::UnavailableError("watch builds: this replica is going away; resume from the last "
                             "token on another one"),
      "DRAINING");
}

}  // namespace

const char* WatchStateName(WatchState state) {
  switch (state) {
    case WatchState::kSnapshot:
      return "snapshot";
    case WatchState::kReplaying:
      return "replaying";
    case WatchState::kFollowing:
      return "following";
    case WatchState::kStalled:
      return "stalled";
  }
  return "following";
}

absl::Status WatchSessions::Add(const std::shared_ptr<WatchSession>& session,
                                const std::string& identity) {
  std::lock_guard lock(mutex_);
  if (draining_) return Draining();
  if (static_cast<int>(sessions_.size()) >= limits_.watches) {
    return TooMany(limits_.watches, "watches are open on this replica");
  }
  int& own = per_caller_[identity];
  if (own >= limits_.watches_per_caller) {
    return TooMany(limits_.watches_per_caller, "watches of this caller are open");
  }
  ++own;
  sessions_.insert(session);
  return absl::OkStatus();
}

void WatchSessions::Remove(const std::shared_ptr<WatchSession>& session,
                           const std::string& identity) {
  std::lock_guard lock(mutex_);
  if (sessions_.erase(session) == 0) return;
  const auto own = per_caller_.find(identity);
  if (--own->second == 0) per_caller_.erase(own);
}

absl::Status WatchSessions::BeginSnapshot() {
  std::lock_guard lock(mutex_);
  if (snapshots_ >= limits_.snapshots) return TooManySnapshots(limits_.snapshots);
  ++snapshots_;
  return absl::OkStatus();
}

void WatchSessions::EndSnapshot() {
  std::lock_guard lock(mutex_);
  --snapshots_;
}

std::vector<std::shared_ptr<WatchSession>> WatchSessions::All() const {
  std::lock_guard lock(mutex_);
  return {sessions_.begin(), sessions_.end()};
}

std::optional<WatchCounts> WatchSessions::Tick(absl::Duration now) {
  // Thousands of quiet sessions have only limits of seconds to watch over.
  if (!is_tick_expected_.exchange(false) && now - ticked_at_ < kQuietTick) return std::nullopt;
  ticked_at_ = now;
  WatchCounts counts;
  for (const auto& session : All()) ++counts[session->Tick(now)];
  return counts;
}

void WatchSessions::Drain() {
  {
    std::lock_guard lock(mutex_);
    draining_ = true;
  }
  for (const auto& session : All()) session->End(Draining());
}

absl::StatusOr<server::PassOutcome> WatchSessions::CheckRights(Authenticator& authenticator,
                                                               clock::Clock& clock) {
  const auto sessions = All();
  if (sessions.empty()) return server::PassOutcome::kIdle;
  std::map<auth::CallerPtr, std::vector<WatchSession*>> by_caller;
  for (const auto& session : sessions) by_caller[session->caller()].push_back(session.get());
  std::vector<auth::CallerPtr> callers;
  for (const auto& [caller, of_caller] : by_caller) callers.push_back(caller);
  const absl::Duration asked_at = clock.MonotonicNow();
  ASSIGN_OR_RETURN(const auto now,
                   authenticator.Refresh(callers, clock::Deadline::After(kCheckLimit)));
  for (size_t i = 0; i < callers.size(); ++i) {
    for (WatchSession* session : by_caller[callers[i]]) {
      if (now[i].ok()) {
        session->Recheck(*now[i], asked_at);
      } else {
        session->End(now[i].status());
      }
    }
  }
  return server::PassOutcome::kIdle;
}

std::vector<WatchView> WatchSessions::View(absl::Duration now) const {
  std::vector<WatchView> views;
  for (const auto& session : All()) views.push_back(session->View(now));
  return views;
}

int WatchSessions::size() const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(sessions_.size());
}

}  // namespace coder::api
