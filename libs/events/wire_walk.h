#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coder::events {

// Protocol buffers' wire types.
enum class WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a serialised message.
struct WireField {
  uint32_t field = 0;
  WireType type = WireType::kVarint;
  // The value of a varint or fixed field.
  uint64_t number_value = 0;
  // The content of a length-delimited field.
  std::string_view bytes;
  // The field with its tag, as it stands in the message.
  std::string_view framed;
};

// Walks over the fields of one serialised message without copying or decoding what is inside them.
// Not thread-safe; the message must outlive the walk and the views it hands out.
class WireWalk {
 public:
  explicit WireWalk(std::string_view message) : rest_(message) {}

  // Reads the next field. False at the end and at the first byte that is not a field; ok() tells
  // which.
  bool Next(WireField& field);

  // False once the bytes turned out not to be a message.
  bool ok() const { return ok_; }

 private:
  bool TakeVarint(uint64_t& value);
  bool TakeFixed(size_t width, uint64_t& value);
  bool TakeValue(WireField& field);

  std::string_view rest_;
  bool ok_ = true;
};

// Appends `value` in base-128 form.
void AppendVarint(uint64_t value, std::string& out);

}  // namespace coder::events
