#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/server/secret.h"

namespace coder::auth {

/// Bounds of the hashing work a process does at once.
struct PasswordHasherOptions {
  /// Each takes 19 MiB and some ten milliseconds of one core.
  int max_concurrent = 2;
  /// Callers that may wait for a turn; more are refused.
  int max_waiting = 32;
};

/// Hashes and verifies passwords with argon2id (2 passes over 19 MiB), a few at a time, so that a
/// burst of log-ins takes neither all memory nor all cores. Thread-safe.
class PasswordHasher {
 public:
  explicit PasswordHasher(PasswordHasherOptions options);
  PasswordHasher() : PasswordHasher(PasswordHasherOptions{}) {}

  /// libsodium's text form, with salt and parameters in it.
  ///   DEADLINE_EXCEEDED   no turn came before the deadline
  ///   RESOURCE_EXHAUSTED  too many wait already (with a retry delay), or memory ran out
  absl::StatusOr<std::string> Hash(const server::Secret& password, clock::Deadline deadline);

  /// Whether `hash` is of `password`. With an empty hash it takes as long and answers false, so
  /// that the time does not tell whether an account exists. Errors as Hash.
  absl::StatusOr<bool> Verify(const std::string& hash, const server::Secret& password,
                              clock::Deadline deadline);

 private:
  absl::Status AwaitTurn(clock::Deadline deadline);
  void EndTurn();

  const PasswordHasherOptions options_;
  const std::string decoy_;
  std::mutex mutex_;
  std::condition_variable freed_;
  int running_ = 0;  // guarded by mutex_
  int waiting_ = 0;  // guarded by mutex_
};

}  // namespace coder::auth
