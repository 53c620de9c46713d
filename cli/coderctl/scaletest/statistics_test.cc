#include "cli/coderctl/scaletest/statistics.h"

#include <catch2/catch.hpp>

namespace coder::cli::scaletest {
namespace {

absl::Time At(int second) { return absl::FromUnixSeconds(second); }

Timeline Built(int created, int acquired, int completed) {
  return {.name = "", .created = At(created), .acquired = At(acquired), .completed = At(completed)};
}

TEST_CASE("a percentile is the nearest rank") {
  std::vector<absl::Duration> values;
  for (int i = 100; i >= 1; --i) values.push_back(absl::Seconds(i));
  const Percentiles of = PercentilesOf(values);
  CHECK(of.count == 100);
  CHECK(of.p50 == absl::Seconds(50));
  CHECK(of.p95 == absl::Seconds(95));
  CHECK(of.p99 == absl::Seconds(99));
  CHECK(of.max == absl::Seconds(100));
  CHECK(PercentilesOf({absl::Seconds(7)}).p99 == absl::Seconds(7));
  CHECK(PercentilesOf({}).p50 == absl::ZeroDuration());
}

TEST_CASE("a span needs both its ends") {
  std::vector<Timeline> timelines = {Built(1, 2, 5), Built(1, 2, 9)};
  timelines[1].completed = absl::InfinitePast();
  CHECK(Between(timelines, &Timeline::created, &Timeline::completed) ==
        std::vector<absl::Duration>{absl::Seconds(4)});
}

TEST_CASE("a ramp counts every build in one state, and ends with all of them ended") {
  const std::vector<RampPoint> ramp = RampOf({Built(10, 12, 14), Built(11, 14, 20)}, At(10), 11);
  REQUIRE(ramp.size() == 11);
  struct Row {
    int pending, running, completed;
  };
  const Row rows[] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 1, 0}, {0, 1, 1}};
  for (size_t i = 0; i < std::size(rows); ++i) {
    INFO(i);
    CHECK(ramp[i].at == absl::Seconds(static_cast<int64_t>(i)));
    CHECK(ramp[i].pending == rows[i].pending);
    CHECK(ramp[i].running == rows[i].running);
    CHECK(ramp[i].completed == rows[i].completed);
  }
  CHECK(ramp.back().completed == 2);
  CHECK(RampOf({Timeline{}}, At(10), 11).empty());
}

TEST_CASE("a build that was canceled before anybody took it never runs in the ramp") {
  Timeline canceled = Built(10, 0, 12);
  canceled.acquired = absl::InfinitePast();
  const std::vector<RampPoint> ramp = RampOf({canceled}, At(10), 3);
  CHECK(ramp[1].pending == 1);
  CHECK(ramp[2].pending == 0);
  CHECK(ramp[2].running == 0);
  CHECK(ramp[2].completed == 1);
}

TEST_CASE("a histogram holds every value once") {
  const std::vector<Bar> bars =
      HistogramOf({absl::Seconds(0), absl::Seconds(1), absl::Seconds(4), absl::Seconds(-1)}, 4);
  REQUIRE(bars.size() == 4);
  CHECK(bars[0].count == 2);
  CHECK(bars[1].count == 1);
  CHECK(bars[3].count == 1);
  CHECK(bars[3].to == absl::Seconds(4));
  CHECK(HistogramOf({}, 4).empty());
}

}  // namespace
}  // namespace coder::cli::scaletest
