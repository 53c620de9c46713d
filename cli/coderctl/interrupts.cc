#include "cli/coderctl/interrupts.h"

namespace coder::cli {

Interrupts::Interrupts() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

bool Interrupts::Pending() {
  const timespec none = {};
  return sigtimedwait(&signals_, nullptr, &none) > 0;
}

}  // namespace coder::cli
