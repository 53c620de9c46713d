#include "libs/auth/rate_limiter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::auth {
namespace {

constexpr size_t kMaxBuckets = 50'000;

}  // namespace

RateLimiter::RateLimiter(int burst, absl::Duration refill, clock::Clock& clock)
    : burst_(burst), per_token_(refill / burst), clock_(clock) {}

absl::Status RateLimiter::Admit(absl::string_view key, absl::string_view attempt) {
  const absl::Duration now = clock_.MonotonicNow();
  std::lock_guard lock(mutex_);
  if (buckets_.size() >= kMaxBuckets) DropFullBuckets(now);
  Bucket& bucket = buckets_.try_emplace(std::string(key), Bucket{burst_, now}).first->second;
  bucket.tokens =
      std::min(burst_, bucket.tokens + absl::FDivDuration(now - bucket.as_of, per_token_));
  bucket.as_of = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return absl::OkStatus();
  }
  // Whole seconds: a client that rounds down must not come too early.
  const absl::Duration wait = absl::Ceil((1 - bucket.tokens) * per_token_, absl::Seconds(1));
  return status::WithRetryAfter(
      absl::ResourceExhaustedError(
          absl::StrCat(attempt, ": too many attempts; try again in ", absl::FormatDuration(wait))),
      wait);
}

void RateLimiter::DropFullBuckets(absl::Duration now) {
  absl::erase_if(buckets_, [&](const auto& entry) {
    return entry.second.tokens + absl::FDivDuration(now - entry.second.as_of, per_token_) >= burst_;
  });
  // Memory is bounded even against somebody with that many addresses; what is lost is some waiting.
  if (buckets_.size() >= kMaxBuckets) buckets_.clear();
}

}  // namespace coder::auth
