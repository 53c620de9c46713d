#include <catch2/catch.hpp>
#include <cstdint>

#include "libs/server/log.h"
#include "tests/sim/world.h"

namespace coder::sim {
namespace {

constexpr uint64_t kSeeds = 1500;

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

TEST_CASE("a seed runs the same way twice, and its runs are no empty ones") {
  log::SetLevel(log::Level::kOff);
  const Outcome one = RunSeed(7);
  const Outcome other = RunSeed(7);
  CHECK(one.switches == other.switches);
  CHECK(one.received == other.received);
  CHECK(one.committed == other.committed);
  int64_t received = 0;
  int64_t resumes = 0;
  int64_t epochs = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Outcome outcome = RunSeed(seed);
    received += outcome.received;
    resumes += outcome.resumes;
    epochs += outcome.epochs - 1;
  }
  CHECK(received > 5000);
  CHECK(resumes > 50);
  CHECK(epochs > 5);
}

TEST_CASE("rights that are never checked are found out") {
  log::SetLevel(log::Level::kOff);
  bool found = false;
  for (uint64_t seed = 0; seed < 50 && !found; ++seed) {
    for (const std::string& violation : RunSeed(seed, {.rights_checks = true}).violations) {
      found = found || violation.starts_with("OnlyPermitted");
    }
  }
  CHECK(found);
}

}  // namespace
}  // namespace coder::sim
