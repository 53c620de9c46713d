#include "cli/coderctl/scaletest/api.h"

#include <algorithm>
#include <random>
#include <string_view>

#include "absl/strings/str_format.h"

namespace coder::cli::scaletest {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

bool MayPass(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded;
}

}  // namespace

std::string NewRequestId() {
  std::random_device random;
  const auto bits = [&random](uint64_t limit) {
    return ((static_cast<uint64_t>(random()) << 32) | random()) % limit;
  };
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%012x", bits(1ULL << 32), bits(1ULL << 16),
                         bits(1ULL << 12), 0x8000 + bits(1ULL << 14), bits(1ULL << 48));
}

std::string RandomText(int length) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string text;
  for (int i = 0; i < length; ++i) text += kLetters[random() % kLetters.size()];
  return text;
}

absl::Status Api::Patiently(const std::function<absl::Status()>& call,
                            const std::stop_token& stop) {
  const absl::Duration until = clock_.MonotonicNow() + kPatience;
  absl::Duration pause = absl::Milliseconds(100);
  while (true) {
    if (stop.stop_requested()) return absl::CancelledError("interrupted");
    const absl::Status status = call();
    if (!MayPass(status) || clock_.MonotonicNow() > until) return status;
    if (!clock_.Wait(pause, stop)) return absl::CancelledError("interrupted");
    pause = std::min(pause * 2, absl::Seconds(2));
  }
}

}  // namespace coder::cli::scaletest
