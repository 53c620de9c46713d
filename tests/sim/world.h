#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coder::sim {

/// The guards that a run leaves out, to see what rests on them.
struct Omissions {
  /// The stream takes a message whatever sequence its publisher expects.
  bool fence = false;
  /// Nobody asks again about rights that were true once.
  bool rights_checks = false;
  /// Positions at or below the ring's head are taken for those after it.
  bool drop = false;
  /// So are positions beyond the next one; the log is not asked for what is missing.
  bool gap_fill = false;
  /// Relays cannot tell that the stream holds another history than the log.
  bool epoch_check = false;
  /// A relay's statements run on whatever session there is.
  bool sessions = false;
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
  /// Messages of the stream that came after one of the same epoch with higher positions.
  int64_t doubled = 0;
  int64_t switches = 0;
  /// Two runs with one digest took the same way.
  uint64_t digest = 0;
};

/// Runs one deployment, drawn with its faults from `seed`, through its trouble and into the calm
/// after it.
Outcome RunSeed(uint64_t seed, Omissions omissions = {});

}  // namespace coder::sim
