#pragma once

#include <cstdio>
#include <cstdlib>

namespace coder::fuzz {

/// What must hold for every input; ends the process when it does not.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace coder::fuzz
