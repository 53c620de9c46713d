#include "libs/events/pack.h"

#include <utility>

#include "libs/events/wire_walk.h"

namespace coder::events {
namespace {

// Field numbers of BuildEvent; pack_test.cc holds them against the generated code, which is not
// used here so that the fan-out can run under the thread sanitizer without libprotobuf.
enum BuildEventField : uint32_t {
  kOrganizationId = 1,
  kOwnerId = 2,
  kTemplateId = 3,
  kWorkspaceId = 4,
  kWorkspaceVersion = 5,
  kTransition = 6,
  kJobStatus = 7,
  kReason = 8,
  kEventTime = 21,
};
constexpr uint32_t kPackEvents = 1;

bool TakeText(const WireField& field, std::string_view& into) {
  if (field.type != WireType::kBytes) return false;
  into = field.bytes;
  return true;
}

bool TakeEnum(const WireField& field, int& into) {
  if (field.type != WireType::kVarint) return false;
  into = static_cast<int>(field.number_value);
  return true;
}

bool TakeField(const WireField& field, EventKeys& keys) {
  switch (field.field) {
    case kOrganizationId:
      return TakeText(field, keys.organization_id);
    case kOwnerId:
      return TakeText(field, keys.owner_id);
    case kTemplateId:
      return TakeText(field, keys.template_id);
    case kWorkspaceId:
      return TakeText(field, keys.workspace_id);
    case kWorkspaceVersion:
      keys.workspace_version = static_cast<int64_t>(field.number_value);
      return field.type == WireType::kVarint;
    case kTransition:
      return TakeEnum(field, keys.transition);
    case kJobStatus:
      return TakeEnum(field, keys.job_status);
    case kReason:
      return TakeEnum(field, keys.reason);
    default:
      return true;
  }
}

// google.protobuf.Timestamp: seconds and nanoseconds.
bool TakeTime(const WireField& field, int64_t& time_us) {
  if (field.type != WireType::kBytes) return false;
  WireWalk walk(field.bytes);
  WireField part;
  uint64_t sum = 0;
  while (walk.Next(part)) {
    if (part.field == 1) sum += part.number_value * 1'000'000;
    if (part.field == 2) sum += part.number_value / 1'000;
  }
  time_us = static_cast<int64_t>(sum);
  return walk.ok();
}

bool ReadEvent(std::string_view event, EventSlice& slice) {
  WireWalk walk(event);
  WireField field;
  while (walk.Next(field)) {
    if (!TakeField(field, slice.keys)) return false;
    if (field.field == kEventTime && !TakeTime(field, slice.time_us)) return false;
  }
  return walk.ok() && !slice.keys.workspace_id.empty() && slice.keys.workspace_version > 0;
}

}  // namespace

std::shared_ptr<const Pack> Pack::Read(Header header, std::string payload) {
  return std::shared_ptr<const Pack>(new Pack(header, std::move(payload)));
}

Pack::Pack(Header header, std::string payload) : header_(header), payload_(std::move(payload)) {
  const auto count = static_cast<size_t>(header_.last_position - header_.first_position + 1);
  events_.reserve(count);
  WireWalk walk(payload_);
  WireField field;
  while (events_.size() < count && walk.Next(field)) {
    EventSlice slice{.framed = field.framed};
    slice.readable = field.field == kPackEvents && field.type == WireType::kBytes &&
                     ReadEvent(field.bytes, slice);
    events_.push_back(slice);
  }
  // What the bytes no longer hold still has a position in the log.
  events_.resize(count);
}

std::string EventId(const EventSlice& event) {
  if (!event.readable) return "unreadable/" + std::to_string(StableHash(event.framed));
  return std::string(event.keys.workspace_id) + "/" + std::to_string(event.keys.workspace_version);
}

uint64_t StableHash(std::string_view bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  return hash ^ (hash >> 33);
}

void AppendFramed(std::string_view event, std::string& payload) {
  AppendVarint((kPackEvents << 3) | static_cast<uint32_t>(WireType::kBytes), payload);
  AppendVarint(event.size(), payload);
  payload.append(event);
}

}  // namespace coder::events
