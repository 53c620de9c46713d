#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace coder::cli::scaletest {

/// One workspace's or build's way through a test. Times that never came are InfinitePast.
struct Timeline {
  std::string name;
  /// When it was asked for, by this machine's clock.
  absl::Time configured = absl::InfinitePast();
  /// When it was due.
  absl::Time scheduled = absl::InfinitePast();
  /// When its build was queued, taken and ended, by the database's clock.
  absl::Time created = absl::InfinitePast();
  absl::Time acquired = absl::InfinitePast();
  absl::Time completed = absl::InfinitePast();
  /// When its end came in on the stream, by this machine's clock.
  absl::Time seen = absl::InfinitePast();
  /// A stable word and a sentence; empty when it went well.
  std::string error_kind;
  std::string error;
};

/// The value that `fraction` (0 to 1) of `sorted` are at or below: the nearest rank. Zero for none.
absl::Duration Percentile(const std::vector<absl::Duration>& sorted, double fraction);

struct Percentiles {
  size_t count = 0;
  absl::Duration p50, p95, p99, max;
};

Percentiles PercentilesOf(std::vector<absl::Duration> values);

/// From one moment to another, of each timeline that has both.
std::vector<absl::Duration> Between(const std::vector<Timeline>& timelines,
                                    absl::Time Timeline::*from, absl::Time Timeline::*to);

/// How many builds were in which state at one moment.
struct RampPoint {
  /// Since the ramp's origin.
  absl::Duration at;
  int pending = 0;
  int running = 0;
  int completed = 0;
};

/// The states at `points` (2 or more) evenly spaced moments from `origin` to the last end. Empty
/// when nothing was queued.
std::vector<RampPoint> RampOf(const std::vector<Timeline>& timelines, absl::Time origin,
                              int points);

struct Bar {
  absl::Duration from, to;
  int count = 0;
};

/// How many values lie in each of `bars` equal ranges from zero to the largest. Empty for none.
std::vector<Bar> HistogramOf(const std::vector<absl::Duration>& values, int bars);

}  // namespace coder::cli::scaletest
