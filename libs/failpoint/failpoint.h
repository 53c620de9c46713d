#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Places in a service where a fault test may count, stop or hold it. Until a board is opened every
// call costs one load of a flag and does nothing. Every function may be called from any thread.
namespace coder::failpoint {

// One place on the board: a file of these that the service and the test map at once. It outlives
// the process, however that ends.
struct Slot {
  static constexpr size_t kNameBytes = 40;

  char name[kNameBytes];         // ends in zeros
  std::atomic<uint64_t> hits;    // counted by the service
  std::atomic<int32_t> action;   // an Action, set by the test
  std::atomic<int32_t> hits_to;  // the action happens at this many hits from now
  std::atomic<int64_t> millis;   // how long kHold holds
};
static_assert(sizeof(Slot) == 64);

enum class Action : int32_t {
  kNone = 0,
  kKill = 1,  // ends the process as SIGKILL does
  kHold = 2,  // holds the calling thread, once
  kOn = 3,    // IsOn() is true
};

namespace internal {
extern std::atomic<bool> g_open;
void Hit(std::string_view name);
bool IsOn(std::string_view name);
}  // namespace internal

// Maps the board at `path`, made by a fault test, for the rest of the process's life. Called once,
// before threads start. NOT_FOUND: there is no such file; INVALID_ARGUMENT: it is no board.
absl::Status OpenBoard(const std::string& path);

// Tells that the place was reached; a name that is not on the board is passed over.
inline void Hit(std::string_view name) {
  if (internal::g_open.load(std::memory_order_relaxed)) internal::Hit(name);
}

// Whether a fault test has switched the named protection off, to see that its absence is noticed.
inline bool IsOn(std::string_view name) {
  return internal::g_open.load(std::memory_order_relaxed) && internal::IsOn(name);
}

}  // namespace coder::failpoint
