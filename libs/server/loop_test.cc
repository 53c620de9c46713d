#include "libs/server/loop.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>

#include "libs/clock/fake_clock.h"
#include "libs/metrics/metrics.h"

namespace coder::server {
namespace {

// A pass that answers from a script and lets the test wait for its n-th run.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<absl::StatusOr<PassOutcome>> answers;
  int runs = 0;

  absl::StatusOr<PassOutcome> operator()(std::stop_token) {
    std::lock_guard lock(mutex);
    ++runs;
    changed.notify_all();
    if (answers.empty()) return PassOutcome::kIdle;
    auto answer = answers.front();
    answers.pop_front();
    return answer;
  }

  void AwaitRuns(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return runs >= count; });
    CHECK(runs == count);
  }
};

struct Fixture {
  clock::FakeClock clock{absl::FromUnixSeconds(90)};
  metrics::Metrics metrics{"v", "r", "c"};
  Script script;

  std::unique_ptr<Loop> Make(LoopOptions options) {
    options.name = "demo";
    return std::make_unique<Loop>(
        options, [this](std::stop_token stop) { return script(stop); }, clock, metrics.registry());
  }
};

TEST_CASE_METHOD(Fixture, "a loop runs at start, on its interval, at once for more and on a wake") {
  script.answers = {PassOutcome::kMore, PassOutcome::kIdle};
  auto loop = Make({.interval = absl::Seconds(10)});
  REQUIRE(loop->Start().ok());
  clock.AwaitWaiters(1);
  script.AwaitRuns(2);
  clock.Advance(absl::Seconds(10));
  script.AwaitRuns(3);
  clock.AwaitWaiters(1);
  loop->Wake();
  script.AwaitRuns(4);
  loop->Drain(absl::Seconds(1));
  const std::string text = metrics.Text();
  CHECK(text.find("coderd_loop_passes_total{loop=\"demo\",outcome=\"more\"} 1") !=
        std::string::npos);
  CHECK(text.find("coderd_loop_passes_total{loop=\"demo\",outcome=\"idle\"} 3") !=
        std::string::npos);
  CHECK(text.find("coderd_loop_last_success_timestamp_seconds{loop=\"demo\"} 100") !=
        std::string::npos);
}

TEST_CASE_METHOD(Fixture, "an error is tried again after a backoff far below the interval") {
  script.answers = {absl::UnavailableError("down"), PassOutcome::kIdle};
  auto loop = Make({.interval = absl::Hours(1), .min_backoff = absl::Milliseconds(100)});
  REQUIRE(loop->Start().ok());
  clock.AwaitWaiters(1);
  clock.Advance(absl::Milliseconds(100));
  script.AwaitRuns(2);
  loop->Stop();
  CHECK(metrics.Text().find("coderd_loop_passes_total{loop=\"demo\",outcome=\"failed\"} 1") !=
        std::string::npos);
}

TEST_CASE_METHOD(Fixture, "an aligned loop runs at whole multiples of its interval") {
  auto loop = Make({.interval = absl::Minutes(1), .aligned = true});
  REQUIRE(loop->Start().ok());  // at 00:01:30
  clock.AwaitWaiters(1);
  clock.Advance(absl::Seconds(30));
  script.AwaitRuns(2);
  clock.AwaitWaiters(1);
  clock.Advance(absl::Minutes(1));
  script.AwaitRuns(3);
}

}  // namespace
}  // namespace coder::server
