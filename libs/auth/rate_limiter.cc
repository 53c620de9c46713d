#include "libs/auth/rate_limiter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::auth {
namespace {

constexpr size_t kMaxBuckets = 50'000;

}  // namespace

RateLimiter::RateLimiter(int burst, absl::Duration refill, clock::Clock& clock)
    : per_token_(refill / burst), tolerance_(per_token_ * (burst - 1)), clock_(clock) {}

absl::Status RateLimiter::Admit(absl::string_view key, absl::string_view attempt) {
  const absl::Duration now = clock_.MonotonicNow();
  std::lock_guard lock(mutex_);
  if (full_at_.size() >= kMaxBuckets) DropFullBuckets(now);
  absl::Duration& full_at = full_at_.try_emplace(std::string(key), now).first->second;
  const absl::Duration lacking = std::max(full_at - now, absl::ZeroDuration());
  if (lacking <= tolerance_) {
    full_at = now + lacking + per_token_;
    return absl::OkStatus();
  }
  // Whole seconds: a client that rounds down must not come too early.
  const absl::Duration wait = absl::Ceil(lacking - tolerance_, absl::Seconds(1));
  return status::WithRetryAfter(
      absl::ResourceExhaustedError(
          absl::StrCat(attempt, ": too many attempts; try again in ", absl::FormatDuration(wait))),
      wait);
}

void RateLimiter::DropFullBuckets(absl::Duration now) {
  absl::erase_if(full_at_, [&](const auto& entry) { return entry.second <= now; });
  // Memory is bounded even against somebody with that many addresses; what is lost is some waiting.
  if (full_at_.size() >= kMaxBuckets) full_at_.clear();
}

}  // namespace coder::auth
