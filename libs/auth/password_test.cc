#include "libs/auth/password.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::auth {
namespace {

using clock::Deadline;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using server::Secret;

Deadline Ample() { return Deadline::After(absl::Minutes(1)); }

TEST_CASE("a password matches its hash only") {
  PasswordHasher hasher;
  const auto hash = hasher.Hash(Secret("correct horse"), Ample());
  REQUIRE_THAT(hash, IsOk());
  CHECK(hash->rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0) == 0);
  CHECK(hasher.Verify(*hash, Secret("correct horse"), Ample()).value());
  CHECK_FALSE(hasher.Verify(*hash, Secret("correct horsf"), Ample()).value());
  CHECK_FALSE(hasher.Verify(*hash, Secret(""), Ample()).value());
}

TEST_CASE("equal passwords have different hashes") {
  PasswordHasher hasher;
  CHECK(hasher.Hash(Secret("correct horse"), Ample()).value() !=
        hasher.Hash(Secret("correct horse"), Ample()).value());
}

TEST_CASE("without an account nothing matches, not even the decoy") {
  PasswordHasher hasher;
  CHECK_FALSE(hasher.Verify("", Secret("no account has this hash"), Ample()).value());
  CHECK_FALSE(hasher.Verify("not a hash", Secret("x"), Ample()).value());
}

TEST_CASE("when all turns are taken, callers are refused by the deadline or by the line's length") {
  PasswordHasher nobody({.max_concurrent = 0, .max_waiting = 1});
  CHECK_THAT(nobody.Hash(Secret("x"), Deadline::After(absl::ZeroDuration())),
             StatusIs(absl::StatusCode::kDeadlineExceeded));
  PasswordHasher full({.max_concurrent = 0, .max_waiting = 0});
  const auto refused = full.Hash(Secret("x"), Ample());
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  CHECK(status::RetryAfterOf(refused.status()) == absl::Seconds(1));
}

TEST_CASE("many callers all get their turn") {
  PasswordHasher hasher({.max_concurrent = 2, .max_waiting = 16});
  const std::string hash = hasher.Hash(Secret("correct horse"), Ample()).value();
  std::vector<std::thread> threads;
  std::atomic<int> matched = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (hasher.Verify(hash, Secret("correct horse"), Ample()).value_or(false)) ++matched;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(matched == 8);
}

}  // namespace
}  // namespace coder::auth
