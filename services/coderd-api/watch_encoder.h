#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "libs/events/pack.h"
#include "libs/fanout/watcher.h"

namespace coder::api {

/// A pack's events as entries of WatchAllWorkspaceBuildsResponse.events, one after the other.
struct EncodedPack {
  std::shared_ptr<const events::Pack> pack;
  grpc::Slice bytes;
  /// Where each event begins, and the end.
  std::vector<size_t> offsets;
};

/// Encodes responses. Each pack is encoded once, however many watch; messages share its bytes.
/// Thread-safe.
class WatchEncoder {
 public:
  /// Remembers the encoded form of this many packs.
  explicit WatchEncoder(size_t packs = 512) : capacity_(packs) {}

  /// The response of a kSend or kBookmark step.
  grpc::ByteBuffer Encode(const fanout::Step& step);

  /// The encoded form of a pack.
  std::shared_ptr<const EncodedPack> EncodePack(const std::shared_ptr<const events::Pack>& pack);

 private:
  const size_t capacity_;
  std::mutex mutex_;
  absl::flat_hash_map<const events::Pack*, std::shared_ptr<const EncodedPack>> encoded_;
  std::deque<const events::Pack*> order_;
};

}  // namespace coder::api
