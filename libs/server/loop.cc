#include "libs/server/loop.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>

#include "libs/server/log.h"

namespace coder::server {

struct Loop::Metrics {
  prometheus::Counter& idle;
  prometheus::Counter& more;
  prometheus::Counter& failed;
  prometheus::Histogram& seconds;
  // Stops rising when passes fail or hang: alarm on its age.
  prometheus::Gauge& last_success;
};

Loop::Loop(LoopOptions options, Pass pass, clock::Clock& clock, prometheus::Registry& registry)
    : options_(std::move(options)), pass_(std::move(pass)), clock_(clock) {
  const std::string& name = options_.name;
  auto& passes = prometheus::BuildCounter()
                     .Name("coderd_loop_passes_total")
                     .Help("Passes of a background loop by outcome.")
                     .Register(registry);
  auto& seconds = prometheus::BuildHistogram()
                      .Name("coderd_loop_pass_seconds")
                      .Help("Duration of one pass of a background loop.")
                      .Register(registry);
  auto& success = prometheus::BuildGauge()
                      .Name("coderd_loop_last_success_timestamp_seconds")
                      .Help("When a pass of the loop last succeeded; zero before the first.")
                      .Register(registry);
  metrics_ = std::make_unique<Metrics>(Metrics{
      passes.Add({{"loop", name}, {"outcome", "idle"}}),
      passes.Add({{"loop", name}, {"outcome", "more"}}),
      passes.Add({{"loop", name}, {"outcome", "failed"}}),
      seconds.Add(
          {{"loop", name}},
          prometheus::Histogram::BucketBoundaries{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60}),
      success.Add({{"loop", name}})});
}

Loop::~Loop() { Stop(); }

absl::Status Loop::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  return absl::OkStatus();
}

void Loop::Drain(absl::Duration) { Stop(); }

void Loop::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Loop::Wake() {
  // The callback of request_stop runs here, so the lock may not be held meanwhile.
  auto waiting = [this] {
    std::lock_guard lock(mutex_);
    woken_ = true;
    return waiting_;
  }();
  waiting.request_stop();
}

void Loop::Run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    const auto outcome = RunPass(stop);
    const absl::Duration delay = DelayAfter(outcome);
    if (delay > absl::ZeroDuration()) WaitForNext(delay, stop);
  }
}

absl::StatusOr<PassOutcome> Loop::RunPass(std::stop_token stop) {
  const absl::Duration begin = clock_.MonotonicNow();
  auto outcome = pass_(stop);
  metrics_->seconds.Observe(absl::ToDoubleSeconds(clock_.MonotonicNow() - begin));
  if (outcome.ok()) {
    failures_ = 0;
    (*outcome == PassOutcome::kMore ? metrics_->more : metrics_->idle).Increment();
    metrics_->last_success.Set(absl::ToDoubleSeconds(clock_.Now() - absl::UnixEpoch()));
  } else if (!stop.stop_requested()) {
    ++failures_;
    metrics_->failed.Increment();
    log::Warn("pass failed; it will be tried again",
              {{"loop", options_.name}, {"failures", failures_}, {"error", outcome.status()}});
  }
  return outcome;
}

absl::Duration Loop::DelayAfter(const absl::StatusOr<PassOutcome>& outcome) {
  if (outcome.ok() && *outcome == PassOutcome::kMore) return absl::ZeroDuration();
  absl::Duration beat = options_.interval;
  if (options_.aligned) {
    beat -= (clock_.Now() - absl::UnixEpoch()) % options_.interval;
  }
  if (outcome.ok()) return beat;
  absl::Duration backoff = options_.min_backoff * (1 << std::min(failures_ - 1, 20));
  backoff = std::min(backoff, options_.max_backoff);
  backoff *= std::uniform_real_distribution<double>(0.5, 1.0)(random_);
  return options_.aligned ? std::min(backoff, beat) : backoff;
}

void Loop::WaitForNext(absl::Duration delay, std::stop_token stop) {
  std::stop_source waiting;
  {
    std::lock_guard lock(mutex_);
    if (woken_) {
      woken_ = false;
      return;
    }
    waiting_ = waiting;
  }
  std::stop_callback on_stop(stop, [waiting]() mutable { waiting.request_stop(); });
  clock_.Wait(delay, waiting.get_token());
  std::lock_guard lock(mutex_);
  woken_ = false;
}

}  // namespace coder::server
