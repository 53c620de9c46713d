#include "libs/schedule/spread.h"

#include <cstdint>

namespace coder::schedule {
namespace {

// FNV-1a, with MurmurHash3's last step because ids that differ in one place must not stay together.
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3u;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace

absl::Duration SpreadOffset(absl::string_view workspace_id, absl::Duration window) {
  const int64_t seconds = absl::ToInt64Seconds(window);
  if (seconds <= 0) return absl::ZeroDuration();
  return absl::Seconds(static_cast<int64_t>(Hash(workspace_id) % static_cast<uint64_t>(seconds)));
}

}  // namespace coder::schedule
