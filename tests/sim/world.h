#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coder::sim {

/// What a run leaves out, to see what rests on it.
struct Omissions {
  bool fence = false;
  bool rights_checks = false;
};

/// What one run came to.
struct Outcome {
  /// "validator: what"; empty when every promise was kept.
  std::vector<std::string> violations;
  int64_t committed = 0;
  int64_t received = 0;
  int64_t resumes = 0;
  int64_t epochs = 0;
  int64_t faults = 0;
  int64_t switches = 0;
  /// Two runs with one digest took the same way.
  uint64_t digest = 0;
};

/// Runs one deployment, drawn with its faults from `seed`, through its trouble and into the calm
/// after it.
Outcome RunSeed(uint64_t seed, Omissions omissions = {});

}  // namespace coder::sim
