#pragma once

#include "absl/status/status.h"
#include "libs/jetstream/ports/stream_message.h"

namespace coder::jetstream {

// Receives what an ordered consumer delivers; called from the consumer's thread, one call at a
// time. A call may block: the server then sends no more than its flow control allows.
class StreamSink {
 public:
  virtual ~StreamSink() = default;

  virtual void OnMessage(StreamMessage message) = 0;
  // Messages will arrive from now on, from a new consumer. What was published before is in doubt:
  // read the log.
  virtual void OnUp() = 0;
  // Messages no longer arrive, until the next OnUp(): the connection was lost or remade,
  // heartbeats are missing, a message was skipped, or the consumer cannot be made.
  virtual void OnDown(const absl::Status& why) = 0;
};

}  // namespace coder::jetstream
