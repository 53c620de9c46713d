// Runs seeds of the simulation and prints those that broke a promise: sim_runner FIRST COUNT.

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "libs/server/log.h"
#include "tests/sim/world.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: sim_runner FIRST_SEED SEEDS\n", stderr);
    return 64;
  }
  // A long run tells what it finds when it finds it.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  coder::log::SetLevel(coder::log::Level::kOff);
  const uint64_t first = std::strtoull(argv[1], nullptr, 10);
  const uint64_t count = std::strtoull(argv[2], nullptr, 10);
  coder::sim::Outcome all;
  uint64_t broken = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const coder::sim::Outcome one = coder::sim::RunSeed(seed);
    for (const auto& violation : one.violations) {
      std::printf("seed %llu broke %s\n", static_cast<unsigned long long>(seed), violation.c_str());
    }
    broken += !one.violations.empty();
    all.committed += one.committed;
    all.received += one.received;
    all.resumes += one.resumes;
    all.epochs += one.epochs;
    all.faults += one.faults;
    all.digest = all.digest * 31 + one.digest;
  }
  std::printf(
      "%llu seeds, %llu broken; %lld events in logs, %lld received, %lld resumes, %lld faults; "
      "digest %016llx\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(broken),
      static_cast<long long>(all.committed), static_cast<long long>(all.received),
      static_cast<long long>(all.resumes), static_cast<long long>(all.faults),
      static_cast<unsigned long long>(all.digest));
  return broken == 0 ? 0 : 1;
}
