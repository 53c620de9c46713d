#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/jetstream/ports/stream_message.h"

namespace coder::jetstream {

// How far a run of publishing has come.
struct PublishProgress {
  // The last position the stream acknowledged; 0 when none in this run.
  int64_t confirmed_position = 0;
  // The stream's sequence of that message, or the one the run began after.
  uint64_t confirmed_sequence = 0;
  // Messages sent and not yet answered.
  int64_t in_flight = 0;
  // The first refusal, which ended the run; OK while it goes on.
  absl::Status refusal;
};

// Publishes packs in order, each only if the stream's last sequence is the one before it. A run
// ends at the first refusal: what was behind it is refused too and must be sent again in a new run.
// One thread publishes; the others may call progress().
class Publisher {
 public:
  virtual ~Publisher() = default;

  // Begins a run that expects `last_sequence` to be the stream's last; 0 for an empty new stream.
  // Answers to an earlier run are ignored.
  virtual void Begin(uint64_t last_sequence) = 0;

  // Hands one pack over. Waits while the most messages are in flight. Returns the run's refusal
  // once there is one (ABORTED: another message stands at the expected place; UNAVAILABLE: not
  // connected or not answered in time; otherwise the server's refusal); DEADLINE_EXCEEDED: no room
  // within the time the publisher was given.
  virtual absl::Status Publish(const PackHeaders& headers, absl::string_view payload) = 0;

  // Waits until nothing is in flight, the run is refused, or `limit` has passed, then reports.
  virtual PublishProgress Await(absl::Duration limit) = 0;

  virtual PublishProgress progress() const = 0;
};

}  // namespace coder::jetstream
