#pragma once

#include <csignal>

namespace coder::cli {

/// Blocks SIGINT and SIGTERM in this thread and those it starts later, and tells when one came.
/// Make it before any other thread.
class Interrupts {
 public:
  Interrupts();
  /// True once for each signal that came.
  bool Pending();

 private:
  sigset_t signals_{};
};

}  // namespace coder::cli
