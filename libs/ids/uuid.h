#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::ids {

/// A 128-bit identifier (RFC 9562), compared and ordered by its bytes, so version 7 values order by
/// creation.
class Uuid {
 public:
  using Bytes = std::array<uint8_t, 16>;

  /// The nil value: no identifier.
  constexpr Uuid() : bytes_{} {}
  constexpr explicit Uuid(const Bytes& bytes) : bytes_(bytes) {}

  /// Reads the 36-character form, upper or lower case. INVALID_ARGUMENT for anything else.
  static absl::StatusOr<Uuid> Parse(absl::string_view text);

  /// The 36-character lower-case form.
  std::string ToString() const;
  const Bytes& bytes() const { return bytes_; }
  bool IsNil() const { return bytes_ == Bytes{}; }

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Uuid& id) {
    return H::combine(std::move(h), id.bytes_);
  }

 private:
  Bytes bytes_;
};

/// Makes version 7 values: 48 bits of milliseconds, then a 12-bit counter, then 62 random bits.
/// Values of one generator strictly rise, even when its clock stands still or steps back.
/// Thread-safe.
class UuidV7Generator {
 public:
  using TimeSource = std::function<absl::Time()>;
  using RandomSource = std::function<uint64_t()>;

  /// Both sources are called under the generator's lock; `random` must be unpredictable enough that
  /// two processes never meet.
  UuidV7Generator(TimeSource now, RandomSource random);

  /// The next value.
  Uuid Next();

 private:
  const TimeSource now_;
  const RandomSource random_;
  std::mutex mutex_;
  int64_t last_millis_ = 0;  // guarded by mutex_
  uint32_t counter_ = 0;     // guarded by mutex_
};

/// A random source seeded from the operating system; not for secrets.
UuidV7Generator::RandomSource SystemRandom();

}  // namespace coder::ids
