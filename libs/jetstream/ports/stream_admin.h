#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "libs/jetstream/ports/stream_message.h"

namespace coder::jetstream {

// Where the stream begins and ends. An empty stream has first_sequence = last_sequence + 1.
struct StreamState {
  uint64_t first_sequence = 0;
  uint64_t last_sequence = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  bool empty() const { return messages == 0; }
};

// The owner's view of one stream. Calls block for at most the request time of the connection. Every
// method may also return UNAVAILABLE (not connected, JetStream off, no answer) and
// PERMISSION_DENIED. Thread-safe.
class StreamAdmin {
 public:
  virtual ~StreamAdmin() = default;

  // Makes the stream, or repairs one whose configuration differs. True when something was changed.
  // INTERNAL: the stream differs in what the server cannot change (its storage, its retention).
  virtual absl::StatusOr<bool> Ensure() = 0;

  // NOT_FOUND: there is no such stream.
  virtual absl::StatusOr<StreamState> State() = 0;

  // The message at `sequence`, as the stream's leader has it. NOT_FOUND: no stream, or no message
  // at this sequence.
  virtual absl::StatusOr<StreamMessage> ReadAt(uint64_t sequence) = 0;

  // The last message. NOT_FOUND: no stream, or no message in it.
  virtual absl::StatusOr<StreamMessage> ReadTail() = 0;

  // Removes the messages up to `last_sequence`, 1 or more, which leaves what came after whoever
  // asks had looked; sequences go on from where they were. NOT_FOUND: no stream.
  virtual absl::Status Purge(uint64_t last_sequence) = 0;
};

}  // namespace coder::jetstream
