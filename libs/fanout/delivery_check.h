#pragma once

#include <cstdint>

#include "libs/fanout/watcher.h"

namespace coder::fanout {

// Counts after a watch: every position between two tokens was either sent or left out by the filter
// and the rights, once. It knows nothing of how the watch finds its events, so that it cannot share
// a mistake with it. One thread at a time.
class DeliveryCheck {
 public:
  enum class Verdict {
    kExact,
    kGap,        // a position was neither sent nor left out
    kDuplicate,  // a position was sent again, or the token fell back
  };

  // The watch begins after `position`.
  explicit DeliveryCheck(int64_t position) : position_(position) {}

  // Looks at a step that sends something, in the order of sending.
  Verdict Look(const Step& step);

 private:
  int64_t position_;
};

}  // namespace coder::fanout
