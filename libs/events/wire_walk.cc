#include "libs/events/wire_walk.h"

namespace coder::events {

bool WireWalk::Next(WireField& field) {
  if (!ok_ || rest_.empty()) return false;
  const std::string_view start = rest_;
  field = WireField();
  uint64_t tag = 0;
  ok_ = TakeVarint(tag) && tag <= UINT32_MAX && (tag >> 3) != 0;
  if (!ok_) return false;
  field.field = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  ok_ = TakeValue(field);
  if (!ok_) return false;
  field.framed = start.substr(0, start.size() - rest_.size());
  return true;
}

bool WireWalk::TakeVarint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (rest_.empty()) return false;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireWalk::TakeFixed(size_t width, uint64_t& value) {
  if (rest_.size() < width) return false;
  value = 0;
  for (size_t i = 0; i < width; ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(width);
  return true;
}

bool WireWalk::TakeValue(WireField& field) {
  switch (field.type) {
    case WireType::kVarint:
      return TakeVarint(field.number_value);
    case WireType::kFixed64:
      return TakeFixed(8, field.number_value);
    case WireType::kFixed32:
      return TakeFixed(4, field.number_value);
    case WireType::kBytes: {
      uint64_t size = 0;
      if (!TakeVarint(size) || size > rest_.size()) return false;
      field.bytes = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return true;
    }
  }
  return false;
}

void AppendVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

}  // namespace coder::events
