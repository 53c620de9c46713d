#pragma once

#include "libs/pg/pool.h"
#include "libs/storage/expiry_store.h"

namespace coder::storage {

/// ExpiryStore in PostgreSQL. Thread-safe; the pool must outlive it.
class PgExpiryStore final : public ExpiryStore {
 public:
  explicit PgExpiryStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<int64_t> DropExpired(int limit, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
