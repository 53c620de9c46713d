#include "libs/events/resume_token.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/requirement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coder;
  const auto decoded = events::DecodeResumeToken({reinterpret_cast<const char*>(data), size});
  if (decoded.ok()) {
    const auto again = events::DecodeResumeToken(events::EncodeResumeToken(*decoded));
    fuzz::Require(again.ok() && *again == *decoded, "a token that was read can be written");
  }
  // Chance never finds the checksum, so the bytes are also taken as a token's numbers.
  if (size < 17) return 0;
  events::ResumeToken token;
  for (int i = 0; i < 4; ++i) token.epoch = token.epoch << 8 | data[i];
  for (int i = 4; i < 12; ++i) token.position = token.position << 8 | (data[i] & 0x7f);
  for (int i = 12; i < 16; ++i) token.event_hash = token.event_hash << 8 | data[i];
  std::string text = events::EncodeResumeToken(token);
  const auto read = events::DecodeResumeToken(text);
  const bool sound = (token.position == 0) == (token.event_hash == 0);
  fuzz::Require(read.ok() == sound, "exactly the sound tokens are read");
  fuzz::Require(!read.ok() || *read == token, "a token is read as it was written");
  text[data[16] % text.size()] ^= 1;
  const auto damaged = events::DecodeResumeToken(text);
  fuzz::Require(!damaged.ok() || *damaged == token, "a damaged token is no other token");
  return 0;
}
