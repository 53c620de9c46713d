#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/fanout/ring.h"
#include "libs/fanout/watcher.h"

namespace coder::fanout {

// The ring and everyone who watches it. Wakes watchers when the head moves and when their time has
// come; has no thread of its own. Thread-safe; outlives its watchers.
class WatchHub {
 public:
  struct Limits {
    size_t watches = 20'000;
    size_t watches_per_caller = 100;
  };

  WatchHub(Ring::Limits ring_limits, Limits limits) : ring_(ring_limits), limits_(limits) {}

  const Ring& ring() const { return ring_; }

  // Takes a pack into the ring and wakes the waiting. On a conflict every watch ends.
  Ring::Outcome Admit(std::shared_ptr<const events::Pack> pack);

  // Goes on after `head` of `epoch`. When the epoch is another one, every watch ends.
  void Reset(int64_t epoch, int64_t head);

  // Opens a watch that starts after `start`, or at the head when it is absent. A `start` that a
  // client sent must carry its event hash, which is verified; one from this process may leave it 0.
  // Blocks on `log` only when the ring cannot answer. Otherwise the reason why not: kTooOld,
  // kTokenForeign, kTokenFuture, kEpochChanged, kTooManyWatches, or kUnavailable when the log
  // cannot be reached.
  std::variant<std::shared_ptr<Watcher>, Ending> Open(Watcher::Options options,
                                                      std::optional<events::ResumeToken> start,
                                                      LogReader& log, absl::Duration now);

  // Forgets a watch whose stream is finished. Every opened watch is closed once.
  void Close(const std::shared_ptr<Watcher>& watcher);

  // Wakes every watch whose bookmark, age or rights check is due. Call a few times a second.
  void Tick(absl::Duration now);

  // Who watches now, each caller once.
  std::vector<std::string> Callers() const;
  // Puts every watch of `caller_id` under `rights`, which were true at `checked_at`.
  void ReplaceRights(const std::string& caller_id,
                     std::shared_ptr<const events::WatchRights> rights, absl::Duration checked_at);
  // Ends every watch of `caller_id`.
  void EndCaller(const std::string& caller_id, const Ending& ending);
  // Ends every watch.
  void EndAll(const Ending& ending);

  size_t watches() const;

  // The token of `position` of the current epoch. UNAVAILABLE: the log cannot be reached.
  // OUT_OF_RANGE: the position is no longer kept, or not yet given out.
  absl::StatusOr<events::ResumeToken> TokenAt(int64_t position, LogReader& log) const;

 private:
  friend class Watcher;
  // Called by a watcher that found nothing above `position`. False when there is something by now.
  bool Park(std::shared_ptr<Watcher> watcher, int64_t position, int64_t epoch, absl::Duration due);
  // A parked watcher need not be woken before `due`; without effect on one that is not parked.
  void Postpone(Watcher& watcher, absl::Duration due);
  Ending EpochEnding(int64_t old_epoch) const;
  void WakeParked();
  std::vector<std::shared_ptr<Watcher>> WatchersOf(const std::string* caller_id) const;
  std::optional<Ending> Refusal(const events::ResumeToken& start, LogReader& log) const;

  Ring ring_;
  const Limits limits_;
  mutable std::mutex mu_;
  absl::flat_hash_map<std::string, std::vector<std::shared_ptr<Watcher>>> by_caller_;
  size_t watches_ = 0;
  std::vector<std::shared_ptr<Watcher>> parked_;
};

}  // namespace coder::fanout
