#include "services/coderd-api/watch_encoder.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "coder/api/v1/watch.pb.h"
#include "libs/events/resume_token.h"

namespace coder::api {
namespace {

// Tags of watch.proto and of BuildEventPack; watch_pgtest reads them with the generated code.
constexpr char kPosition = 0x08;    // WatchedBuildEvent.position
constexpr char kEvent = 0x12;       // WatchedBuildEvent.event
constexpr char kUnreadable = 0x1a;  // WatchedBuildEvent.unreadable
constexpr char kEvents = 0x0a;      // WatchAllWorkspaceBuildsResponse.events
constexpr char kToken = 0x12;       // WatchAllWorkspaceBuildsResponse.resume_token

// Up to here copying a message into one slice costs less than sending it in two.
constexpr size_t kSmallMessage = 2048;

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void AppendEvent(int64_t position, const events::EventSlice& event, std::string& out) {
  std::string body(1, kPosition);
  AppendVarint(static_cast<uint64_t>(position), body);
  if (event.readable) {
    // An entry of a pack is the same field under another tag: the length follows it already.
    body.push_back(kEvent);
    body.append(event.framed.substr(1));
  } else {
    v1::UnreadableEvent unreadable;
    unreadable.set_workspace_id(std::string(event.keys.workspace_id));
    unreadable.set_workspace_version(event.keys.workspace_version);
    const std::string bytes = unreadable.SerializeAsString();
    body.push_back(kUnreadable);
    AppendVarint(bytes.size(), body);
    body.append(bytes);
  }
  out.push_back(kEvents);
  AppendVarint(body.size(), out);
  out.append(body);
}

// The index of the first event of a run within its pack.
size_t FirstOf(const fanout::Run& run) {
  const events::Pack& pack = *run.pack;
  if (run.bytes.empty()) return run.unreadable_position - pack.first_position();
  const auto& all = pack.events();
  const auto first =
      std::lower_bound(all.begin(), all.end(), run.bytes.data(),
                       [](const events::EventSlice& event, const char* at) {
                         // What broke off lies behind everything that can be read.
                         return !event.framed.empty() && std::less<>()(event.framed.data(), at);
                       });
  return first - all.begin();
}

}  // namespace

std::shared_ptr<const EncodedPack> WatchEncoder::EncodePack(
    const std::shared_ptr<const events::Pack>& pack) {
  {
    std::lock_guard lock(mutex_);
    const auto found = encoded_.find(pack.get());
    if (found != encoded_.end()) return found->second;
  }
  std::string bytes;
  bytes.reserve(pack->payload().size() + pack->events().size() * 16);
  auto encoded = std::make_shared<EncodedPack>();
  encoded->pack = pack;
  int64_t position = pack->first_position();
  for (const events::EventSlice& event : pack->events()) {
    encoded->offsets.push_back(bytes.size());
    AppendEvent(position++, event, bytes);
  }
  encoded->offsets.push_back(bytes.size());
  encoded->bytes = grpc::Slice(bytes);
  std::lock_guard lock(mutex_);
  const auto [entry, made] = encoded_.try_emplace(pack.get(), std::move(encoded));
  std::shared_ptr<const EncodedPack> result = entry->second;
  if (made) {
    order_.push_back(pack.get());
    if (order_.size() > capacity_) {
      encoded_.erase(order_.front());
      order_.pop_front();
    }
  }
  return result;
}

grpc::ByteBuffer WatchEncoder::Encode(const fanout::Step& step) {
  const std::string text = events::EncodeResumeToken(step.token);
  std::string token(1, kToken);
  AppendVarint(text.size(), token);
  token.append(text);
  std::vector<grpc::Slice> slices;
  slices.reserve(step.runs.size() + 1);
  for (const fanout::Run& run : step.runs) {
    const auto encoded = EncodePack(run.pack);
    const size_t first = FirstOf(run);
    const size_t begin = encoded->offsets[first];
    const size_t end = encoded->offsets[first + static_cast<size_t>(run.events)];
    slices.push_back(encoded->bytes.sub(begin, end));
  }
  if (slices.size() == 1 && slices.front().size() < kSmallMessage) {
    const grpc::Slice& event = slices.front();
    grpc_slice joined = grpc_slice_malloc(event.size() + token.size());
    std::copy_n(event.begin(), event.size(), GRPC_SLICE_START_PTR(joined));
    std::copy_n(token.begin(), token.size(), GRPC_SLICE_START_PTR(joined) + event.size());
    const grpc::Slice whole(joined, grpc::Slice::STEAL_REF);
    return grpc::ByteBuffer(&whole, 1);
  }
  slices.emplace_back(token);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace coder::api
