#include "cli/coderctl/scaletest/statistics.h"

#include <algorithm>
#include <cmath>

namespace coder::cli::scaletest {

absl::Duration Percentile(const std::vector<absl::Duration>& sorted, double fraction) {
  if (sorted.empty()) return absl::ZeroDuration();
  const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

Percentiles PercentilesOf(std::vector<absl::Duration> values) {
  std::sort(values.begin(), values.end());
  return {.count = values.size(),
          .p50 = Percentile(values, 0.50),
          .p95 = Percentile(values, 0.95),
          .p99 = Percentile(values, 0.99),
          .max = Percentile(values, 1.0)};
}

std::vector<absl::Duration> Between(const std::vector<Timeline>& timelines,
                                    absl::Time Timeline::*from, absl::Time Timeline::*to) {
  std::vector<absl::Duration> spans;
  for (const Timeline& timeline : timelines) {
    if (timeline.*from == absl::InfinitePast() || timeline.*to == absl::InfinitePast()) continue;
    spans.push_back(timeline.*to - timeline.*from);
  }
  return spans;
}

std::vector<RampPoint> RampOf(const std::vector<Timeline>& timelines, absl::Time origin,
                              int points) {
  std::vector<absl::Time> created, acquired, completed;
  absl::Time last = absl::InfinitePast();
  for (const Timeline& timeline : timelines) {
    if (timeline.created == absl::InfinitePast()) continue;
    created.push_back(timeline.created);
    if (timeline.acquired != absl::InfinitePast()) acquired.push_back(timeline.acquired);
    if (timeline.completed != absl::InfinitePast()) completed.push_back(timeline.completed);
    last = std::max({last, timeline.created, timeline.acquired, timeline.completed});
  }
  if (created.empty() || last <= origin) return {};
  std::sort(created.begin(), created.end());
  std::sort(acquired.begin(), acquired.end());
  std::sort(completed.begin(), completed.end());
  const auto until = [](const std::vector<absl::Time>& sorted, absl::Time time) {
    return static_cast<int>(std::upper_bound(sorted.begin(), sorted.end(), time) - sorted.begin());
  };
  std::vector<RampPoint> ramp;
  for (int i = 0; i < points; ++i) {
    const absl::Duration at = (last - origin) * i / (points - 1);
    const absl::Time now = i == points - 1 ? last : origin + at;
    const int ended = until(completed, now);
    // A build that was canceled before anybody took it has ended without having run.
    const int taken = std::max(until(acquired, now), ended);
    ramp.push_back({.at = at,
                    .pending = std::max(until(created, now) - taken, 0),
                    .running = taken - ended,
                    .completed = ended});
  }
  return ramp;
}

std::vector<Bar> HistogramOf(const std::vector<absl::Duration>& values, int bars) {
  if (values.empty()) return {};
  const absl::Duration largest =
      std::max(*std::max_element(values.begin(), values.end()), absl::Milliseconds(1));
  std::vector<Bar> histogram;
  for (int i = 0; i < bars; ++i) {
    histogram.push_back({.from = largest * i / bars, .to = largest * (i + 1) / bars});
  }
  for (const absl::Duration value : values) {
    const double share = absl::FDivDuration(std::max(value, absl::ZeroDuration()), largest);
    const int bar = std::min(static_cast<int>(share * bars), bars - 1);
    ++histogram[bar].count;
  }
  return histogram;
}

}  // namespace coder::cli::scaletest
