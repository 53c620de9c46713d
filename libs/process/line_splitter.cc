#include "libs/process/line_splitter.h"

namespace coder::process {
namespace {

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::size_t CutBefore(std::string_view text, std::size_t limit) {
  std::size_t cut = limit;
  while (cut > limit - 3 && IsContinuationByte(text[cut])) --cut;
  // Four continuation bytes in a row are not UTF-8; any cut is as good as another.
  return IsContinuationByte(text[cut]) ? limit : cut;
}

}  // namespace

void LineSplitter::Emit(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (sink_) sink_(line);
}

void LineSplitter::EmitFullPieces() {
  std::size_t begin = 0;
  while (pending_.size() - begin > max_line_bytes_) {
    const std::string_view rest = std::string_view(pending_).substr(begin);
    const std::size_t cut = CutBefore(rest, max_line_bytes_);
    Emit(rest.substr(0, cut));
    begin += cut;
  }
  pending_.erase(0, begin);
}

void LineSplitter::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    pending_.append(bytes.substr(0, end));
    EmitFullPieces();
    if (end == std::string_view::npos) return;
    Emit(pending_);
    pending_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::Finish() {
  if (pending_.empty()) return;
  Emit(pending_);
  pending_.clear();
}

}  // namespace coder::process
