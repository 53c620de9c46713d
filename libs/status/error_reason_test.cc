#include "libs/status/error_reason.h"

#include <catch2/catch.hpp>

#include "libs/status/status_macros.h"

namespace coder::status {
namespace {

TEST_CASE("a reason survives values with any byte, and prefixes") {
  const std::string odd("3:\0\n:", 5);
  absl::Status status = WithReason(absl::FailedPreconditionError("build 41 is still running"),
                                   "BUILD_ACTIVE", {{"workspace_id", odd}, {"empty", ""}});
  status = Prefix(status, "create build for workspace x");
  CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(status.message() == "create build for workspace x: build 41 is still running");
  const auto reason = ReasonOf(status);
  REQUIRE(reason);
  CHECK(reason->reason == "BUILD_ACTIVE");
  CHECK(reason->metadata ==
        std::map<std::string, std::string>{{"workspace_id", odd}, {"empty", ""}});
}

TEST_CASE("field violations accumulate in order") {
  absl::Status status = absl::InvalidArgumentError("create workspace: 2 fields");
  status = WithFieldViolation(status, "name", "is empty");
  status = WithFieldViolation(status, "ttl", "");
  const auto violations = FieldViolationsOf(status);
  REQUIRE(violations.size() == 2);
  CHECK(violations[0].field == "name");
  CHECK(violations[0].description == "is empty");
  CHECK(violations[1].field == "ttl");
}

TEST_CASE("details are absent unless attached") {
  const absl::Status plain = absl::UnavailableError("x");
  CHECK_FALSE(ReasonOf(plain));
  CHECK_FALSE(RetryAfterOf(plain));
  CHECK_FALSE(HasInternalDetail(plain));
  CHECK(FieldViolationsOf(plain).empty());
  CHECK(RetryAfterOf(WithRetryAfter(plain, absl::Milliseconds(1500))) == absl::Milliseconds(1500));
  CHECK(HasInternalDetail(WithInternalDetail(plain)));
}

TEST_CASE("OK carries nothing") {
  CHECK(WithReason(absl::OkStatus(), "R").ok());
  CHECK(Prefix(absl::OkStatus(), "attempt").ok());
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}

absl::StatusOr<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  RETURN_IF_ERROR(half > 100 ? absl::OutOfRangeError("large") : absl::OkStatus());
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

TEST_CASE("the macros return the first error and pass values on") {
  CHECK(Quarter(8).value() == 2);
  CHECK(Quarter(6).status().message() == "odd");
  CHECK(Quarter(400).status().message() == "large");
}

}  // namespace
}  // namespace coder::status
