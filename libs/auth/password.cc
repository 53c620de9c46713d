#include "libs/auth/password.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/crypto/sodium.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::auth {
namespace {

constexpr unsigned long long kPasses = 2;
constexpr size_t kMemoryBytes = 19 * 1024 * 1024;

absl::StatusOr<std::string> HashNow(const std::string& password) {
  std::array<char, crypto_pwhash_STRBYTES> text{};
  if (crypto_pwhash_str_alg(text.data(), password.data(), password.size(), kPasses, kMemoryBytes,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return absl::ResourceExhaustedError("hash password: no memory for it; try again later");
  }
  return std::string(text.data());
}

std::string MakeDecoy() {
  crypto::PrepareSodium();
  return HashNow("no account has this hash").value_or("");
}

}  // namespace

PasswordHasher::PasswordHasher(PasswordHasherOptions options)
    : options_(options), decoy_(MakeDecoy()) {}

absl::Status PasswordHasher::AwaitTurn(clock::Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (running_ < options_.max_concurrent) {
    ++running_;
    return absl::OkStatus();
  }
  if (waiting_ >= options_.max_waiting) {
    return status::WithRetryAfter(
        absl::ResourceExhaustedError("check password: too many are being checked; try again later"),
        absl::Seconds(1));
  }
  ++waiting_;
  const auto has_turn = [this] { return running_ < options_.max_concurrent; };
  // Infinite and far deadlines overflow the standard library's clocks.
  const absl::Duration patience = std::min(deadline.Remaining(), absl::Hours(1));
  const bool turn = freed_.wait_for(lock, absl::ToChronoNanoseconds(patience), has_turn);
  --waiting_;
  if (!turn) {
    return absl::DeadlineExceededError("check password: too many are being checked; try again");
  }
  ++running_;
  return absl::OkStatus();
}

void PasswordHasher::EndTurn() {
  {
    std::lock_guard lock(mutex_);
    --running_;
  }
  freed_.notify_one();
}

absl::StatusOr<std::string> PasswordHasher::Hash(const server::Secret& password,
                                                 clock::Deadline deadline) {
  RETURN_IF_ERROR(AwaitTurn(deadline));
  absl::StatusOr<std::string> hash = HashNow(password.Reveal());
  EndTurn();
  return hash;
}

absl::StatusOr<bool> PasswordHasher::Verify(const std::string& hash, const server::Secret& password,
                                            clock::Deadline deadline) {
  RETURN_IF_ERROR(AwaitTurn(deadline));
  const std::string& text = hash.empty() ? decoy_ : hash;
  const std::string& secret = password.Reveal();
  const bool matches = crypto_pwhash_str_verify(text.c_str(), secret.data(), secret.size()) == 0;
  EndTurn();
  return matches && !hash.empty();
}

}  // namespace coder::auth
