#include <catch2/catch.hpp>
#include <cstdint>

#include "libs/server/log.h"
#include "tests/sim/world.h"

namespace coder::sim {
namespace {

constexpr uint64_t kSeeds = 1000;

// Each found a bug once: what came of a restore in the midst of a comparison of stream and log, and
// of an epoch that began while the log was read.
constexpr uint64_t kSeedsOfBugs[] = {1034, 3059, 5517, 5678, 8452};

void CheckSeed(uint64_t seed) {
  const Outcome outcome = RunSeed(seed);
  for (const std::string& violation : outcome.violations) {
    FAIL_CHECK("seed " << seed << " broke " << violation << "; replay: ./dev sim --seed " << seed);
  }
}

TEST_CASE("every promise of the stream is kept under every seed") {
  log::SetLevel(log::Level::kOff);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) CheckSeed(seed);
}

TEST_CASE("what a seed found once is not there again") {
  log::SetLevel(log::Level::kOff);
  for (const uint64_t seed : kSeedsOfBugs) CheckSeed(seed);
}

TEST_CASE("a seed runs the same way twice, and its runs are no empty ones") {
  log::SetLevel(log::Level::kOff);
  int64_t received = 0;
  int64_t resumes = 0;
  int64_t epochs = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Outcome outcome = RunSeed(seed);
    const Outcome again = RunSeed(seed);
    CHECK(outcome.digest == again.digest);
    CHECK(outcome.received == again.received);
    CHECK(outcome.committed == again.committed);
    received += outcome.received;
    resumes += outcome.resumes;
    epochs += outcome.epochs - 1;
  }
  CHECK(received > 5000);
  CHECK(resumes > 50);
  CHECK(epochs > 5);
}

}  // namespace
}  // namespace coder::sim
