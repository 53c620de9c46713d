#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/coderctl/session.h"
#include "coder/api/v1/watch.pb.h"
#include "libs/clock/clock.h"

namespace coder::cli::scaletest {

/// What one watch saw. Positions of an unfiltered watch are dense, so a hole is a loss.
struct Seen {
  int64_t events = 0;
  int64_t first = 0;
  int64_t last = 0;
  int64_t lost = 0;
  int64_t doubled = 0;
  int drops = 0;
  /// From the database's time of each event to here.
  std::vector<absl::Duration> lateness;
};

/// Takes a batch in that came at `now`.
void Note(const api::v1::WatchAllWorkspaceBuildsResponse& response, absl::Time now, Seen& seen);

/// One unfiltered watch of all builds on a thread of its own, resumed when it is dropped.
class Watcher {
 public:
  /// Both must outlive it.
  Watcher(const Session& session, clock::Clock& clock);

  /// Whether its watch is in place.
  bool live() const { return live_; }
  /// Why it ended for good; OK while it has not. Any time.
  absl::Status status();
  /// The last position it has seen. Any time.
  int64_t position() const { return position_; }
  /// Ends it and returns what it saw.
  Seen Stop();

 private:
  void Run(const std::stop_token& stop);
  absl::Status ReadOnce(const std::stop_token& stop);

  const Session& session_;
  clock::Clock& clock_;
  std::atomic<bool> live_ = false;
  std::atomic<int64_t> position_ = 0;
  std::string token_;
  Seen seen_;
  std::mutex mutex_;
  absl::Status ended_;
  std::jthread thread_;
};

}  // namespace coder::cli::scaletest
