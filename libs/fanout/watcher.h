#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/events/resume_token.h"
#include "libs/events/watch_filter.h"
#include "libs/fanout/ending.h"
#include "libs/fanout/log_reader.h"
#include "libs/fanout/ring.h"

namespace coder::fanout {

class WatchHub;

// Bytes to send that nobody has to copy: consecutive entries of a BuildEventPack, kept alive by
// `pack`. When `bytes` is empty, the event at `unreadable_position` could not be read.
struct Run {
  std::shared_ptr<const events::Pack> pack;
  std::string_view bytes;
  int64_t events = 0;
  int64_t unreadable_position = 0;
};

// What the owner of a watch does next.
struct Step {
  enum class Kind {
    kSend,         // write `runs` and `token`, then call WriteDone()
    kBookmark,     // write `token` alone, then call WriteDone()
    kWait,         // nothing to do until the wake function is called
    kReadLog,      // call ReadLog() from a thread that may block, then Next()
    kCheckRights,  // the rights are too old to be relied on: ReplaceRights() or End(), then Next()
    kEnd,          // finish the stream as `ending` says; there will be no other step
  };
  Kind kind = Kind::kWait;
  std::vector<Run> runs;
  events::ResumeToken token;
  // With kSend and kBookmark: positions since the last token that filter and rights did not admit.
  int64_t left_out = 0;
  Ending ending;
};

// One watch as a state machine: a cursor into the log, a filter, rights, and at most one write in
// flight. It holds no queue: what follows the cursor is taken from the ring when the last write is
// done, so a slow reader gets larger batches, not a longer queue.
//
// Made by WatchHub::Open(). Every method may be called from any thread; the steps belong to one
// owner at a time. Times are monotonic.
class Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  struct Options {
    // Who watches; rights and limits go by it.
    std::string caller_id;
    events::WatchFilter filter;
    std::shared_ptr<const events::WatchRights> rights;
    // When `rights` were true; absent: when the watch is opened.
    std::optional<absl::Duration> rights_checked_at;
    // A bookmark is sent when nothing was sent for so long. At least a second in production.
    absl::Duration bookmark_interval = absl::Seconds(10);
    // Nothing is sent on rights older than this.
    absl::Duration max_rights_age = absl::Seconds(5);
    // The watch ends itself then. The caller adds the jitter.
    absl::Duration end_at = absl::InfiniteDuration();
    // Called when there may be a next step; from any thread, without a lock held, perhaps once too
    // often. Must not block.
    std::function<void()> wake;
  };

  // The next step. Batches hold at most about `max_bytes` bytes, but at least one event.
  Step Next(absl::Duration now, size_t max_bytes);

  // The write of the last kSend or kBookmark is done.
  void WriteDone();

  // Reads what follows the cursor from the log. OK also when the watch ended by it (too far
  // behind, another epoch). UNAVAILABLE: the log cannot be reached; wait a moment, then try again.
  absl::Status ReadLog(LogReader& log);

  // Goes on under `rights`, which were true at `checked_at`, unless newer ones are known. Wakes the
  // owner unless they are the same object as before and nobody waited for them.
  void ReplaceRights(std::shared_ptr<const events::WatchRights> rights, absl::Duration checked_at);

  // Ends the watch; the first ending stands. Wakes the owner.
  void End(Ending ending);

  // The epoch of everything the watch sends.
  int64_t epoch() const { return epoch_; }
  // Where it is: everything up to there has been examined, nothing of it will be sent.
  events::ResumeToken token() const;
  const std::string& caller_id() const { return options_.caller_id; }

 private:
  friend class WatchHub;
  Watcher(WatchHub& hub, Options options, events::ResumeToken start, absl::Duration now);

  std::optional<Step> Ended(absl::Duration now);
  bool Refill();
  void Examine(size_t max_bytes, std::vector<Run>& runs);
  void Append(const Ring::Span& span, const events::EventSlice& event, int64_t position,
              std::vector<Run>& runs) const;
  Step Quiet(absl::Duration now);
  absl::Duration Due() const;
  Step WriteStep(Step::Kind kind, absl::Duration now, std::vector<Run> runs);
  void SetEnding(Ending ending);
  events::ResumeToken TokenLocked() const;

  WatchHub& hub_;
  const Options options_;
  mutable std::mutex mu_;
  // Packs taken from the ring or the log that hold positions above the cursor; the first
  // `examined_` are done with.
  std::vector<Ring::Span> pending_;
  size_t examined_ = 0;
  std::shared_ptr<const events::WatchRights> rights_;
  absl::Duration rights_checked_at_;
  absl::Duration last_write_at_;
  const int64_t epoch_;
  int64_t cursor_;
  // The event at the cursor, for the token; null until one was examined, then start_hash_ stands.
  std::shared_ptr<const events::Pack> cursor_pack_;
  const uint32_t start_hash_;
  bool has_sent_ = false;
  // Events examined and not admitted since the last write.
  int64_t left_out_ = 0;
  bool write_in_flight_ = false;
  // The last step was kCheckRights.
  bool awaits_rights_ = false;
  std::optional<Ending> ending_;
  // Both belong to the hub, under its lock.
  bool parked_ = false;
  absl::Duration due_;
};

}  // namespace coder::fanout
