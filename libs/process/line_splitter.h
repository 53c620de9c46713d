#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace coder::process {

// Receives one line without its line ending. The view is valid during the call only.
using LineSink = std::function<void(std::string_view line)>;

// Cuts a byte stream into lines of at most `max_line_bytes` bytes. A longer line arrives in
// several pieces, cut before a UTF-8 sequence rather than inside it. A trailing "\r" is dropped.
// One thread at a time.
class LineSplitter {
 public:
  // `max_line_bytes` must be at least 4 (the longest UTF-8 sequence).
  LineSplitter(std::size_t max_line_bytes, LineSink sink)
      : max_line_bytes_(max_line_bytes), sink_(std::move(sink)) {}

  // Takes the next bytes of the stream and hands every finished line to the sink.
  void Append(std::string_view bytes);

  // Hands over the last line if the stream ended without a line ending.
  void Finish();

 private:
  void Emit(std::string_view line);
  void EmitFullPieces();

  std::size_t max_line_bytes_;
  LineSink sink_;
  std::string pending_;
};

}  // namespace coder::process
