#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>

#include "libs/fanout/event_pump.h"
#include "libs/fanout/fake_log.h"

// Everything that happens to one ring at once, on threads of its own, for the thread sanitizer and
// for wakes that get lost: a reader that misses one waits for ever.
namespace coder::fanout {
namespace {

using Kind = Step::Kind;

constexpr int64_t kPacks = 600;
constexpr int64_t kEventsPerPack = 5;
constexpr int64_t kEvents = kPacks * kEventsPerPack;

std::shared_ptr<const events::WatchRights> Everything() {
  return std::make_shared<events::WatchRights>(events::WatchRights{.everything = true});
}

// A reader that sleeps until it is woken, as a stream does, and comes back after each ending.
class Reader {
 public:
  Reader(WatchHub& hub, LogReader& log, const std::atomic<int64_t>& now, std::string caller,
         int sends_per_watch)
      : hub_(hub),
        log_(log),
        now_(now),
        caller_(std::move(caller)),
        sends_per_watch_(sends_per_watch) {}

  void ReadAll() {
    while (token_.position < kEvents) {
      auto opened = hub_.Open({.caller_id = caller_,
                               .rights = Everything(),
                               .bookmark_interval = absl::Milliseconds(40),
                               .max_rights_age = absl::Milliseconds(50),
                               .wake = [this] { Wake(); }},
                              token_, log_, Now());
      const auto* watcher = std::get_if<std::shared_ptr<Watcher>>(&opened);
      if (!watcher) {
        // The log is out of reach now and then.
        refused_ = std::get<Ending>(opened).kind != EndingKind::kUnavailable;
        if (refused_) return;
        continue;
      }
      Follow(**watcher);
      hub_.Close(*watcher);
    }
  }

  bool exact() const { return !refused_ && seen_ == kEvents && in_order_; }

 private:
  absl::Duration Now() const { return absl::Milliseconds(now_.load()); }

  void Wake() {
    std::lock_guard lock(mu_);
    woken_ = true;
    changed_.notify_one();
  }

  void Follow(Watcher& watcher) {
    for (int sends = 0; sends < sends_per_watch_ && token_.position < kEvents;) {
      Step step = watcher.Next(Now(), 300);
      switch (step.kind) {
        case Kind::kSend:
        case Kind::kBookmark:
          for (const Run& run : step.runs) Take(run);
          token_ = step.token;
          watcher.WriteDone();
          ++sends;
          break;
        case Kind::kReadLog:
          (void)watcher.ReadLog(log_);
          break;
        case Kind::kCheckRights:
          watcher.ReplaceRights(Everything(), Now());
          break;
        case Kind::kEnd:
          return;
        case Kind::kWait: {
          std::unique_lock lock(mu_);
          changed_.wait(lock, [this] { return woken_; });
          woken_ = false;
          break;
        }
      }
    }
  }

  void Take(const Run& run) {
    const auto pack = events::Pack::Read({.first_position = 1, .last_position = run.events},
                                         std::string(run.bytes));
    for (const auto& event : pack->events()) {
      ++seen_;
      in_order_ = in_order_ && event.readable && event.keys.workspace_version == seen_;
    }
  }

  WatchHub& hub_;
  LogReader& log_;
  const std::atomic<int64_t>& now_;
  const std::string caller_;
  const int sends_per_watch_;
  std::mutex mu_;
  std::condition_variable changed_;
  bool woken_ = false;
  events::ResumeToken token_{.epoch = 1};
  int64_t seen_ = 0;
  bool in_order_ = true;
  bool refused_ = false;
};

TEST_CASE("a ring that everyone uses at once loses nothing and wakes everybody") {
  FakeLog log;
  WatchHub hub({.events = 200, .bytes = 1 << 20}, {});
  EventPump pump(hub, log, {.prime_events = 50, .poll_interval = absl::Milliseconds(1)});
  REQUIRE(pump.Prime().ok());
  std::atomic<int64_t> now = 0;
  std::atomic<bool> done = false;
  const auto until_done = [&done](const std::function<void()>& step) {
    return [&done, step] {
      while (!done) {
        step();
        std::this_thread::yield();
      }
    };
  };

  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::make_unique<Reader>(hub, log, now, "caller-" + std::to_string(i % 2),
                                               i < 2 ? 1'000'000 : 7));
  }
  std::vector<std::jthread> others;
  others.emplace_back(until_done([&] {
    pump.Tick(absl::Milliseconds(++now));
    hub.Tick(absl::Milliseconds(now.load()));
  }));
  others.emplace_back(until_done([&] {
    for (const std::string& caller : hub.Callers()) {
      hub.ReplaceRights(caller, Everything(), absl::Milliseconds(now.load()));
    }
  }));
  others.emplace_back(until_done([&, turn = std::make_shared<int>(0)] {
    if (++*turn % 50 != 0) return;
    hub.EndCaller("caller-1", {.kind = EndingKind::kAged, .message = "resume"});
    (void)pump.counters();
    (void)hub.watches();
  }));
  std::vector<std::jthread> reading;
  for (auto& reader : readers) reading.emplace_back([&reader] { reader->ReadAll(); });

  std::mt19937 random(1);
  pump.StreamUp();
  for (int64_t i = 0; i < kPacks; ++i) {
    const auto pack = log.Append(kEventsPerPack);
    const auto fault = random() % 16;
    if (fault == 0) continue;
    if (fault == 1) pump.StreamDown();
    if (fault == 2) pump.StreamUp();
    log.SetAvailable(fault != 3);
    pump.Deliver(pack);
    if (fault == 4) pump.Deliver(pack);
  }
  log.SetAvailable(true);
  reading.clear();
  done = true;
  others.clear();
  for (const auto& reader : readers) CHECK(reader->exact());
  CHECK(pump.counters().conflicts == 0);
}

}  // namespace
}  // namespace coder::fanout
