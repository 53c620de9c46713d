#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

struct archive;

namespace coder::archive {

// The bytes of an archive held in memory, decompressed if they are gzip. Decompresses only as far
// as it is read. One thread at a time; the bytes must outlive it.
class ByteSource {
 public:
  // INVALID_ARGUMENT if the bytes are compressed more than once or in another way than gzip.
  static absl::StatusOr<std::unique_ptr<ByteSource>> Open(std::string_view bytes);
  ~ByteSource();

  // Fills `out` as far as there are bytes and returns how many there were. INVALID_ARGUMENT if the
  // compressed data are damaged or cut short.
  absl::StatusOr<std::size_t> Read(char* out, std::size_t size);

 private:
  explicit ByteSource(std::string_view plain) : plain_(plain) {}

  std::string_view plain_;
  ::archive* reader_ = nullptr;
};

}  // namespace coder::archive
