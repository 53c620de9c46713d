#include "libs/ids/uuid.h"

#include <algorithm>
#include <memory>
#include <random>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coder::ids {
namespace {

constexpr uint32_t kCounterLimit = 1u << 12;

bool IsHyphenPosition(size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::Status NotAUuid(absl::string_view text) {
  // Bounded, because the text may be a whole request body.
  return absl::InvalidArgumentError(
      absl::StrCat("parse uuid: \"", text.substr(0, 64),
                   "\" is not a uuid; use 8-4-4-4-12 hexadecimal digits, such as "
                   "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f"));
}

}  // namespace

absl::StatusOr<Uuid> Uuid::Parse(absl::string_view text) {
  if (text.size() != 36) return NotAUuid(text);
  Bytes bytes{};
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsHyphenPosition(i)) {
      if (text[i] != '-') return NotAUuid(text);
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0) return NotAUuid(text);
    bytes[digits / 2] = static_cast<uint8_t>(bytes[digits / 2] << 4 | value);
    ++digits;
  }
  return Uuid(bytes);
}

std::string Uuid::ToString() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(36, '-');
  size_t position = 0;
  for (uint8_t byte : bytes_) {
    if (IsHyphenPosition(position)) ++position;
    text[position++] = kHex[byte >> 4];
    text[position++] = kHex[byte & 15];
  }
  return text;
}

UuidV7Generator::UuidV7Generator(TimeSource now, RandomSource random)
    : now_(std::move(now)), random_(std::move(random)) {}

Uuid UuidV7Generator::Next() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t millis = std::max<int64_t>(0, absl::ToUnixMillis(now_()));
  if (millis > last_millis_) {
    last_millis_ = millis;
    counter_ = 0;
  } else if (++counter_ == kCounterLimit) {
    // More values than the counter holds within a millisecond: borrow the next one.
    ++last_millis_;
    counter_ = 0;
  }
  const uint64_t random = random_();
  Uuid::Bytes bytes{};
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<uint8_t>(last_millis_ >> (40 - 8 * i));
  bytes[6] = static_cast<uint8_t>(0x70 | counter_ >> 8);
  bytes[7] = static_cast<uint8_t>(counter_);
  for (int i = 0; i < 8; ++i) bytes[8 + i] = static_cast<uint8_t>(random >> (56 - 8 * i));
  bytes[8] = static_cast<uint8_t>(0x80 | (bytes[8] & 0x3f));
  return Uuid(bytes);
}

UuidV7Generator::RandomSource SystemRandom() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device(),
                     device(), device(), device(), device()};
  auto engine = std::make_shared<std::mt19937_64>(seed);
  return [engine] { return (*engine)(); };
}

}  // namespace coder::ids
