#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/fanout/log_reader.h"
#include "libs/fanout/watch_hub.h"

namespace coder::fanout {

// Keeps the ring in step with the log. The stream is only the fast way: whenever it leaves a doubt
// (a gap, a new consumer, a lost connection) the log is read before anything else is admitted, and
// while it is down the log is polled.
//
// Thread-safe; Deliver() and Tick() may block on the log. Times are monotonic.
class EventPump {
 public:
  struct Options {
    // How many of the last positions the ring is filled with at start.
    int64_t prime_events = 100'000;
    // How often the log is asked while the stream is down or in doubt.
    absl::Duration poll_interval = absl::Milliseconds(250);
    // How often the log is asked while the stream is up: bounds the delay when the stream is up
    // but nobody can publish on it.
    absl::Duration check_interval = absl::Seconds(2);
    // Events taken from the log per read.
    int64_t read_events = 4096;
  };
  // Counted since the start of the process.
  struct Counters {
    int64_t stream_packs = 0;     // packs the stream delivered
    int64_t log_packs = 0;        // packs read from the log
    int64_t dropped_events = 0;   // events the stream delivered again
    int64_t gaps = 0;             // holes in the stream; each was read from the log
    int64_t conflicts = 0;        // positions with two events: the log and the stream disagree
    int64_t old_epoch_packs = 0;  // packs of an epoch that is over
    int64_t log_failures = 0;     // reads of the log that failed; each is tried again
  };

  EventPump(WatchHub& hub, LogReader& log, Options options)
      : hub_(hub), log_(log), options_(options) {}

  // Fills the ring from the log. To be repeated until OK; nothing is admitted before.
  // UNAVAILABLE: the log cannot be reached.
  absl::Status Prime();

  // Takes a pack from the stream.
  void Deliver(std::shared_ptr<const events::Pack> pack);

  // The stream delivers, from a new consumer: what happened before is in doubt.
  void StreamUp();
  // The stream no longer delivers, or is in doubt, until StreamUp().
  void StreamDown();

  // Reads the log when that is due. Call at least every poll interval.
  void Tick(absl::Duration now);

  // Whether the ring was filled; watches are served from then on. Never waits.
  bool primed() const;
  // Whether events come from the stream, without doubt; else the log is polled.
  bool follows_stream() const;
  Counters counters() const;

 private:
  absl::Status PrimeLocked();
  absl::Status CatchUp();
  void Take(std::shared_ptr<const events::Pack> pack);

  WatchHub& hub_;
  LogReader& log_;
  const Options options_;
  mutable std::mutex mu_;
  std::atomic<bool> primed_ = false;
  bool stream_up_ = false;
  bool in_doubt_ = true;
  absl::Duration read_at_ = -absl::InfiniteDuration();
  Counters counters_;
};

}  // namespace coder::fanout
