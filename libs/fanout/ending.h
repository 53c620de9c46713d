#pragma once

#include <cstdint>
#include <string>

namespace coder::fanout {

// Why a watch ends. The list is closed; the comment is the reader's duty.
enum class EndingKind {
  kTooOld,           // take a snapshot; positions after the token are no longer kept
  kTokenForeign,     // take a snapshot; the token is not of this deployment's log
  kTokenFuture,      // take a snapshot; the token is ahead of the log
  kEpochChanged,     // take a snapshot; the log was set back
  kConflict,         // take a snapshot; the stream and the log disagreed about an event
  kFellBehind,       // take a snapshot and read faster; the log passed the watch
  kDraining,         // resume from the last token, elsewhere
  kAged,             // resume from the last token
  kUnauthenticated,  // sign in again, then resume
  kForbidden,        // ask for the right, then resume
  kTooManyWatches,   // end another watch, or wait
  kUnavailable,      // resume from the last token after a moment
};

// How a watch ended.
struct Ending {
  EndingKind kind = EndingKind::kUnavailable;
  // One sentence that says what to do next; may be shown to the client.
  std::string message;
  // With kTooOld and kFellBehind: the lowest position that can be resumed after, and the head.
  int64_t floor = 0;
  int64_t head = 0;
};

}  // namespace coder::fanout
