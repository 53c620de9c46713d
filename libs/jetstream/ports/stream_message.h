#pragma once

#include <cstdint>
#include <string>

namespace coder::jetstream {

// What names the events of one stream message; travels in its headers Epoch, First-Position,
// Last-Position and Last-Event-Id.
struct PackHeaders {
  int64_t epoch = 0;
  int64_t first_position = 0;
  int64_t last_position = 0;
  // The outbox id of the last event.
  int64_t last_event_id = 0;

  friend bool operator==(const PackHeaders&, const PackHeaders&) = default;
};

// One message as it stands in the stream.
struct StreamMessage {
  uint64_t sequence = 0;
  // False when a header is missing or not a number, or positions contradict each other; `headers`
  // then means nothing and the message is no pack of ours.
  bool has_headers = false;
  PackHeaders headers;
  std::string payload;
};

}  // namespace coder::jetstream
