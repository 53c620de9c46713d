#pragma once

#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/blackout_store.h"

namespace coder::storage {

/// BlackoutStore in PostgreSQL.
class PgBlackoutStore final : public BlackoutStore {
 public:
  /// The pool must outlive the store.
  explicit PgBlackoutStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<BlackoutRecord> Create(const BlackoutRecord& blackout,
                                        clock::Deadline deadline) override;
  absl::StatusOr<BlackoutRecord> Get(const lifecycle::BlackoutId& id,
                                     clock::Deadline deadline) override;
  absl::StatusOr<std::vector<BlackoutRecord>> List(const lifecycle::OrganizationId& organization,
                                                   clock::Deadline deadline) override;
  absl::Status Delete(const lifecycle::BlackoutId& id, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
