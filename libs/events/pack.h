#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace coder::events {

// What a watch can select events by. The views point into the pack the event came from and live as
// long as it. The numbers are those of the enums in coder/events/v1/build_event.proto.
struct EventKeys {
  std::string_view organization_id;
  std::string_view owner_id;
  std::string_view template_id;
  std::string_view workspace_id;
  int64_t workspace_version = 0;
  int transition = 0;
  int job_status = 0;
  int reason = 0;
};

// One event inside a pack.
struct EventSlice {
  // Tag, length and bytes: exactly as it stands in a BuildEventPack, so that slices put one after
  // the other are again a BuildEventPack. Empty when the pack broke off before this event.
  std::string_view framed;
  // False when the bytes are not a build event; then only `framed` means anything. The event keeps
  // its position, so that nobody waits for it.
  bool readable = false;
  EventKeys keys;
  // When the event took place, in microseconds since 1970; 0 when it does not say.
  int64_t time_us = 0;
};

// Up to 64 consecutive events of the global log, as stored and as streamed. Immutable; shared by
// everyone who reads it, so that an event's bytes exist once however many watch.
class Pack {
 public:
  // The numbers that go with a pack's bytes in the log's row and in the message's headers.
  struct Header {
    // Rises when the log was set back; positions of different epochs cannot be compared.
    int64_t epoch = 0;
    // The positions of the first and the last event, both included; from 1.
    int64_t first_position = 0;
    int64_t last_position = 0;
    // The outbox id of the last event.
    int64_t last_event_id = 0;
  };

  // Splits `payload`, a serialised BuildEventPack, into its events without decoding them. Never
  // fails: an event whose bytes cannot be read, or that is missing at the end, becomes a slice
  // that is not readable. Precondition: first_position <= last_position.
  static std::shared_ptr<const Pack> Read(Header header, std::string payload);

  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;

  const Header& header() const { return header_; }
  int64_t epoch() const { return header_.epoch; }
  int64_t first_position() const { return header_.first_position; }
  int64_t last_position() const { return header_.last_position; }
  const std::string& payload() const { return payload_; }
  // One slice per position, in order of position.
  const std::vector<EventSlice>& events() const { return events_; }
  // The event at `position`, which must lie in this pack.
  const EventSlice& at(int64_t position) const {
    return events_[static_cast<size_t>(position - header_.first_position)];
  }

 private:
  Pack(Header header, std::string payload);

  const Header header_;
  const std::string payload_;
  std::vector<EventSlice> events_;
};

// Names an event for all time: its workspace's id, a slash and its workspace version. An unreadable
// event is named after a hash of its bytes, so that it too can be told from another.
std::string EventId(const EventSlice& event);

// A stable 64-bit hash of `bytes` (FNV-1a, then mixed), the same on every machine and in every
// release.
uint64_t StableHash(std::string_view bytes);

// Frames `event`, a serialised BuildEvent, as one entry of a BuildEventPack and appends it to
// `payload`.
void AppendFramed(std::string_view event, std::string& payload);

}  // namespace coder::events
