#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "libs/events/pack.h"

namespace coder::fanout {

// The last events of the log in memory, shared by all watchers of a process. Admits the log's
// events in their order and nothing else. Thread-safe.
class Ring {
 public:
  // The ring forgets its oldest packs beyond either limit, but never the newest one.
  struct Limits {
    int64_t events = 100'000;
    size_t bytes = 128 << 20;
  };
  // What became of a pack.
  enum class Admission {
    kAdmitted,   // the head moved to the pack's last position
    kDuplicate,  // every event of it had been admitted before
    kGap,        // positions are missing between the head and the pack; it was not admitted
    kConflict,   // it has another event at a position the ring knows; it was not admitted
    kOldEpoch,   // it is of an epoch before the ring's; it was not admitted
    kNewEpoch,   // it is of an epoch after the ring's; it was not admitted
  };
  struct Outcome {
    Admission admission = Admission::kAdmitted;
    // With kGap, the missing positions are (missing_after, missing_up_to]; with kConflict,
    // missing_up_to is the position in conflict.
    int64_t missing_after = 0;
    int64_t missing_up_to = 0;
    // Events of the pack at or below the old head.
    int64_t dropped = 0;
  };
  // What the ring holds: positions floor..head of `epoch`; nothing when floor is head + 1.
  struct Bounds {
    int64_t epoch = 0;
    int64_t floor = 1;
    int64_t head = 0;
  };
  // The events of `pack` from position `from` on.
  struct Span {
    std::shared_ptr<const events::Pack> pack;
    int64_t from = 0;
  };

  explicit Ring(Limits limits) : limits_(limits) {}

  // Forgets everything and goes on after `head` of `epoch`.
  void Reset(int64_t epoch, int64_t head);

  // Takes what of `pack` follows the head.
  Outcome Admit(std::shared_ptr<const events::Pack> pack);

  Bounds bounds() const;

  // What the encoded events it holds amount to.
  size_t bytes() const;

  // Appends the spans that hold positions above `after` to `spans`, at most `max_packs` of them.
  // nullopt when after + 1 is below the floor. Nothing is appended when `after` is at or above the
  // head.
  std::optional<Bounds> Read(int64_t after, size_t max_packs, std::vector<Span>& spans) const;

  // The part of the id of the event at `position` that a resume token carries; nullopt when the
  // ring does not hold it.
  std::optional<uint32_t> EventHashAt(int64_t position) const;

 private:
  std::deque<Span>::const_iterator Find(int64_t position) const;
  std::optional<int64_t> ConflictWith(const events::Pack& pack) const;
  int64_t Floor() const;
  void Trim();

  const Limits limits_;
  mutable std::mutex mu_;
  std::deque<Span> spans_;
  int64_t epoch_ = 0;
  int64_t head_ = 0;
  size_t bytes_ = 0;
};

}  // namespace coder::fanout
