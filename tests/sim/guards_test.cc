// A guard that is left out has to be missed: what no run notices is not checked.

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "libs/server/log.h"
#include "tests/sim/world.h"

namespace coder::sim {
namespace {

// The first of `seeds` runs, from `first` on, that breaks one of the promises named; -1 when none
// does.
int64_t FirstToMiss(const Omissions& omissions, const std::string& validators, int64_t seeds,
                    int64_t first = 0) {
  log::SetLevel(log::Level::kOff);
  for (int64_t seed = first; seed < first + seeds; ++seed) {
    for (const std::string& violation :
         RunSeed(static_cast<uint64_t>(seed), omissions).violations) {
      const std::string validator = violation.substr(0, violation.find(':'));
      if (validators.find(validator) != std::string::npos) return seed;
    }
  }
  return -1;
}

TEST_CASE("rights that are never asked for again are found out") {
  CHECK(FirstToMiss({.rights_checks = true}, "OnlyPermitted", 50) >= 0);
}

TEST_CASE("a receiver that takes repeated positions is found out") {
  CHECK(FirstToMiss({.drop = true}, "OnlyCommitted Unique", 50) >= 0);
}

TEST_CASE("a receiver that passes over a gap is found out") {
  CHECK(FirstToMiss({.gap_fill = true}, "OnlyCommitted Gapless", 50) >= 0);
}

TEST_CASE("relays that do not see the database go back are found out") {
  CHECK(FirstToMiss({.epoch_check = true}, "Epoch", 100) >= 0);
}

TEST_CASE("relays that compare across sessions are found out") {
  // A restore has to fall between two statements: seldom, and not long after this seed.
  CHECK(FirstToMiss({.sessions = true}, "Epoch OnlyCommitted TypedEndings", 2000, 620) >= 0);
}

TEST_CASE("the fence keeps doubles out of the stream, and no promise rests on it") {
  log::SetLevel(log::Level::kOff);
  int64_t fenced = 0;
  int64_t open = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    fenced += RunSeed(seed).doubled;
    const Outcome outcome = RunSeed(seed, {.fence = true});
    open += outcome.doubled;
    for (const std::string& violation : outcome.violations) {
      INFO("seed " << seed << ": " << violation);
      CHECK(violation.starts_with("Convergence"));
    }
  }
  CHECK(open > 10 * fenced);
}

}  // namespace
}  // namespace coder::sim
