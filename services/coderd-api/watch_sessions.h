#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/clock/clock.h"
#include "libs/server/loop.h"
#include "services/coderd-api/authenticator.h"

namespace coder::api {

/// What a watch does at a moment.
enum class WatchState {
  kSnapshot,
  kReplaying,  // reads from the log what is no longer in memory
  kFollowing,
  kStalled,  // its reader has not read for a second
};

/// "snapshot", "replaying", "following" or "stalled".
const char* WatchStateName(WatchState state);

/// A watch as operators see it; nothing of it lets anybody resume it.
struct WatchView {
  /// auth::Caller::Identity of who watches.
  std::string caller;
  WatchState state = WatchState::kFollowing;
  /// Up to where everything was sent or left out; absent while its snapshot is under way.
  std::optional<int64_t> position;
  absl::Duration age;
};

/// How many watches are in each state; states without any may be absent.
using WatchCounts = std::map<WatchState, int>;

/// An admitted watch, as the check of rights and the passing of time see it. Any thread; none of
/// the calls waits.
class WatchSession {
 public:
  virtual ~WatchSession() = default;
  virtual auth::CallerPtr caller() const = 0;
  /// Goes on as `caller`, who was that at `checked_at` (monotonic).
  virtual void Recheck(const auth::CallerPtr& caller, absl::Duration checked_at) = 0;
  /// Ends the watch; the first ending stands.
  virtual void End(const absl::Status& status) = 0;
  /// Lets time pass; what the watch does at `now`.
  virtual WatchState Tick(absl::Duration now) = 0;
  /// What there is to see of it at `now`.
  virtual WatchView View(absl::Duration now) const = 0;
};

/// The admitted watches of this process, within their limits. Thread-safe.
class WatchSessions {
 public:
  struct Limits {
    int watches = 10'000;
    int watches_per_caller = 16;
    int snapshots = 32;
  };

  explicit WatchSessions(Limits limits) : limits_(limits) {}

  /// RESOURCE_EXHAUSTED, TOO_MANY_WATCHES: a limit is reached. UNAVAILABLE, DRAINING: the process
  /// ends.
  absl::Status Add(const std::shared_ptr<WatchSession>& session, const std::string& identity);
  /// Forgets an added session.
  void Remove(const std::shared_ptr<WatchSession>& session, const std::string& identity);

  /// RESOURCE_EXHAUSTED, TOO_MANY_SNAPSHOTS: as many snapshots as may are under way. Each one begun
  /// is ended once.
  absl::Status BeginSnapshot();
  void EndSnapshot();

  /// Lets time pass for every session, once a second, and now if one expects it; what they do then.
  std::optional<WatchCounts> Tick(absl::Duration now);
  /// A session waits for the next tick, to try something again. Never waits.
  void ExpectTick() { is_tick_expected_ = true; }
  /// Ends every session and admits no other.
  void Drain();
  /// Asks anew, in one go, who all callers are, and tells their sessions. Errors are those of
  /// Authenticator::Refresh; sessions then stand as they were.
  absl::StatusOr<server::PassOutcome> CheckRights(Authenticator& authenticator,
                                                  clock::Clock& clock);
  /// What there is to see of every session at `now`.
  std::vector<WatchView> View(absl::Duration now) const;
  const Limits& limits() const { return limits_; }
  int size() const;

 private:
  std::vector<std::shared_ptr<WatchSession>> All() const;

  const Limits limits_;
  mutable std::mutex mutex_;
  std::set<std::shared_ptr<WatchSession>> sessions_;
  std::map<std::string, int> per_caller_;
  int snapshots_ = 0;
  bool draining_ = false;
  std::atomic<bool> is_tick_expected_ = false;
  // Of the thread that ticks.
  absl::Duration ticked_at_ = -absl::InfiniteDuration();
};

}  // namespace coder::api
