#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"

namespace coder::storage {

/// What may be forgotten because its time is over.
class ExpiryStore {
 public:
  virtual ~ExpiryStore() = default;

  /// Forgets answers to idempotent requests older than 24 hours, sessions and tokens that expired
  /// or were revoked more than 30 days ago, and outcomes of nominal times decided more than 90 days
  /// ago (the newest autostart's of each workspace stays); at most `limit` of each. Returns how
  /// many rows went: fewer than `limit` means that nothing is left for now. Errors as
  /// Pool::Execute.
  virtual absl::StatusOr<int64_t> DropExpired(int limit, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
