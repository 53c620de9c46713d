#include "libs/auth/rate_limiter.h"

#include <catch2/catch.hpp>

#include "libs/clock/fake_clock.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::auth {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

TEST_CASE("a burst is admitted, then one attempt for each part of the refill") {
  clock::FakeClock clock;
  RateLimiter limiter(3, absl::Seconds(30), clock);
  for (int i = 0; i < 3; ++i) CHECK_THAT(limiter.Admit("a", "log in"), IsOk());
  const absl::Status refused = limiter.Admit("a", "log in");
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, "log in: too many"));
  CHECK(status::RetryAfterOf(refused) == absl::Seconds(10));
  clock.Advance(absl::Seconds(9));
  CHECK(status::RetryAfterOf(limiter.Admit("a", "log in")) == absl::Seconds(1));
  clock.Advance(absl::Seconds(1));
  CHECK_THAT(limiter.Admit("a", "log in"), IsOk());
  CHECK_FALSE(limiter.Admit("a", "log in").ok());
}

TEST_CASE("keys do not share a bucket, and a bucket never holds more than the burst") {
  clock::FakeClock clock;
  RateLimiter limiter(1, absl::Seconds(1), clock);
  CHECK_THAT(limiter.Admit("a", "x"), IsOk());
  CHECK_THAT(limiter.Admit("b", "x"), IsOk());
  clock.Advance(absl::Hours(1));
  CHECK_THAT(limiter.Admit("a", "x"), IsOk());
  CHECK_FALSE(limiter.Admit("a", "x").ok());
}

TEST_CASE("refused attempts do not push the next admission away") {
  clock::FakeClock clock;
  RateLimiter limiter(1, absl::Seconds(10), clock);
  CHECK_THAT(limiter.Admit("a", "x"), IsOk());
  for (int i = 0; i < 9; ++i) {
    clock.Advance(absl::Seconds(1));
    CHECK_FALSE(limiter.Admit("a", "x").ok());
  }
  clock.Advance(absl::Seconds(1));
  CHECK_THAT(limiter.Admit("a", "x"), IsOk());
}

TEST_CASE("memory is bounded and those still waiting are kept while there is room") {
  clock::FakeClock clock;
  RateLimiter limiter(1, absl::Seconds(1), clock);
  for (int i = 0; i < 49'999; ++i) REQUIRE(limiter.Admit(std::to_string(i), "x").ok());
  clock.Advance(absl::Seconds(1));
  CHECK_THAT(limiter.Admit("late", "x"), IsOk());
  CHECK_THAT(limiter.Admit("later", "x"), IsOk());
  CHECK_FALSE(limiter.Admit("late", "x").ok());
}

}  // namespace
}  // namespace coder::auth
