#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/coderctl/scaletest/builds_run.h"
#include "cli/coderctl/scaletest/cleanup.h"
#include "cli/coderctl/scaletest/watcher.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

// A connection carries at most 100 streams.
constexpr int kWatchesPerConnection = 50;
// How long watchers are given to come about, and to see the last event.
constexpr absl::Duration kSettleLimit = absl::Seconds(30);

class Audience {
 public:
  explicit Audience(Rig& rig) : rig_(rig) {}

  /// Opens the watches and waits until each is in place. The first error of one of them.
  absl::Status Open(int count) {
    rig_.progress.Begin("watch", count);
    for (int i = 0; i < count; ++i) {
      if (i % kWatchesPerConnection == 0) {
        ASSIGN_OR_RETURN(Session session,
                         Session::Open(rig_.session.credentials(), absl::Seconds(30),
                                       1 + i / kWatchesPerConnection));
        sessions_.push_back(std::make_unique<Session>(std::move(session)));
      }
      watchers_.push_back(std::make_unique<Watcher>(*sessions_.back(), rig_.clock));
    }
    return Settle([](const Watcher& watcher) { return watcher.live(); });
  }

  /// Waits until all have seen as far as the one that has seen most, and ends them.
  std::vector<Seen> Close() {
    for (const auto& watcher : watchers_) head_ = std::max(head_, watcher->position());
    // Who does not get there is told as having lost.
    (void)Settle([this](const Watcher& watcher) { return watcher.position() >= head_; });
    std::vector<Seen> all;
    for (const auto& watcher : watchers_) all.push_back(watcher->Stop());
    return all;
  }

  /// How far each had to see; what came while they were ended, some saw and some did not.
  int64_t head() const { return head_; }

 private:
  absl::Status Settle(const std::function<bool(const Watcher&)>& there) {
    const absl::Duration until = rig_.clock.MonotonicNow() + kSettleLimit;
    while (true) {
      int settled = 0;
      for (const auto& watcher : watchers_) {
        RETURN_IF_ERROR(watcher->status());
        settled += there(*watcher) ? 1 : 0;
      }
      rig_.progress.SetDone(settled);
      if (settled == static_cast<int>(watchers_.size())) return absl::OkStatus();
      if (rig_.clock.MonotonicNow() > until) {
        return absl::DeadlineExceededError(absl::StrCat("watch all builds: only ", settled, " of ",
                                                        watchers_.size(), " watches got there"));
      }
      if (!rig_.clock.Wait(absl::Milliseconds(50), rig_.stops->test())) {
        return absl::CancelledError("interrupted");
      }
    }
  }

  Rig& rig_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  int64_t head_ = 0;
};

/// Adds what the watches saw; returns how many of them lost or doubled something up to `head`.
int Describe(const std::vector<Seen>& all, int64_t head, Report& report) {
  Seen sum;
  int wrong = 0;
  Measure lateness{"event_to_seen", "changed until a watch told (two clocks)", {}};
  for (const Seen& seen : all) {
    const int64_t lost = seen.lost + std::max<int64_t>(head - seen.last, 0);
    sum.events += seen.events;
    sum.lost += lost;
    sum.doubled += seen.doubled;
    sum.drops += seen.drops;
    wrong += lost > 0 || seen.doubled > 0 ? 1 : 0;
    lateness.values.insert(lateness.values.end(), seen.lateness.begin(), seen.lateness.end());
  }
  report.measures.insert(report.measures.begin(), std::move(lateness));
  const double seconds = absl::ToDoubleSeconds(report.ended - report.origin);
  report.facts.insert(
      report.facts.begin(),
      {{"watches", std::to_string(all.size())},
       {"events delivered", std::to_string(sum.events)},
       {"events lost", std::to_string(sum.lost)},
       {"events doubled", std::to_string(sum.doubled)},
       {"deliveries/s", absl::StrFormat("%.0f", static_cast<double>(sum.events) / seconds)},
       {"watches dropped and resumed", std::to_string(sum.drops)}});
  return wrong;
}

}  // namespace

absl::Status RunWatchers(const SessionOptions& session, const WatchersOptions& options) {
  RETURN_IF_ERROR(Check(options.builds.load));
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig, Rig::Open(session, options.builds.load));
  BuildLoad load(*rig, options.builds);
  Audience audience(*rig);
  Report report{.kind = "watchers", .run = rig->run, .begun = rig->clock.Now()};
  absl::Status status = audience.Open(options.watchers);
  int wrong = 0;
  if (status.ok() && load.Prepare()) {
    load.Run();
    report.ended = rig->clock.Now();
    report.origin = load.origin();
    report.timelines = load.timelines();
    const std::vector<Seen> seen = audience.Close();
    rig->progress.End();
    Describe(load, *rig, report);
    wrong = Describe(seen, audience.head(), report);
    status.Update(Write(report, options.builds.load.outputs));
  }
  rig->progress.End();
  if (!options.builds.load.no_cleanup) status.Update(Cleanup(*rig, rig->run));
  status.Update(Verdict(*rig, "scaletest watchers, watches", wrong, options.watchers));
  return status;
}

}  // namespace coder::cli::scaletest
