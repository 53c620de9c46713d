#pragma once

#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/server/program.h"

namespace coder::server {

// What one pass left behind.
enum class PassOutcome {
  kIdle,  // nothing more to do for now: wait for the interval or a wake
  kMore,  // its bound was reached: run again at once
};

// One bounded unit of background work. It must return soon after the token asks it to stop.
using Pass = std::function<absl::StatusOr<PassOutcome>(std::stop_token)>;

struct LoopOptions {
  std::string name;  // of the part and the metric label, as in "outbox-relay"
  absl::Duration interval = absl::Seconds(1);
  // Runs at whole multiples of `interval` of wall time (each minute at second 0) instead of
  // `interval` after the last pass; a wake still runs it at once.
  bool aligned = false;
  // After failed passes: doubles from min to max, each time shortened by a random part of up to a
  // half. An error delays the aligned beat too, never past the next one.
  absl::Duration min_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(15);
};

// Runs a pass on its own thread: at start, then on interval or when woken, with backoff after
// errors, which are logged. Metrics by loop name: coderd_loop_passes_total{outcome},
// coderd_loop_pass_seconds, coderd_loop_last_success_timestamp_seconds.
class Loop final : public Part {
 public:
  // Clock, registry and whatever the pass uses must outlive the loop.
  Loop(LoopOptions options, Pass pass, clock::Clock& clock, prometheus::Registry& registry);
  ~Loop() override;

  std::string name() const override { return options_.name; }
  absl::Status Start() override;
  // Asks a running pass to stop and lets it finish; starts no other.
  void Drain(absl::Duration budget) override;
  void Stop() override;

  // Makes the next pass due now; wakes during a pass cause one more after it. Any thread.
  void Wake();

 private:
  struct Metrics;

  void Run(std::stop_token stop);
  absl::StatusOr<PassOutcome> RunPass(std::stop_token stop);
  absl::Duration DelayAfter(const absl::StatusOr<PassOutcome>& outcome);
  void WaitForNext(absl::Duration delay, std::stop_token stop);

  const LoopOptions options_;
  const Pass pass_;
  clock::Clock& clock_;
  std::unique_ptr<Metrics> metrics_;
  std::minstd_rand random_{std::random_device{}()};
  int failures_ = 0;  // in a row; only the loop's thread

  std::mutex mutex_;
  bool woken_ = false;
  std::stop_source waiting_;  // of the wait in progress
  std::jthread thread_;
};

}  // namespace coder::server
