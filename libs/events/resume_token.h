#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/events/pack.h"

namespace coder::events {

// How far a watch has come: everything at or below `position` has been examined. Opaque to
// clients, good on every replica and across restarts.
struct ResumeToken {
  int64_t epoch = 0;
  // 0 is before the first event.
  int64_t position = 0;
  // EventHash() of the event at `position`, 0 at position 0. Tells a token of another deployment,
  // or of a log that was set back unnoticed, from one of ours.
  uint32_t event_hash = 0;

  friend bool operator==(const ResumeToken&, const ResumeToken&) = default;
};

// The part of an event's id that a token carries; never 0.
uint32_t EventHash(const EventSlice& event);

// Writes a token as unpadded base64url text of 28 characters.
std::string EncodeResumeToken(const ResumeToken& token);

// Reads what EncodeResumeToken() wrote. INVALID_ARGUMENT: not base64url, of another length or
// version, damaged (checksum), or with numbers no token has; the message says which and what to do.
absl::StatusOr<ResumeToken> DecodeResumeToken(std::string_view text);

}  // namespace coder::events
