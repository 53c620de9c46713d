#pragma once

#include <optional>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/audit_log_store.h"

namespace coder::storage {

/// The audit log in PostgreSQL.
class PgAuditLogStore final : public AuditLogStore {
 public:
  /// The pool must outlive the store.
  explicit PgAuditLogStore(pg::Pool& pool) : pool_(pool) {}

  absl::Status Append(const AuditRecord& record, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<AuditRecord>> List(const AuditFilter& filter,
                                                const std::optional<AuditPageKey>& before,
                                                int limit, clock::Deadline deadline) override;
  absl::StatusOr<int64_t> DropOlderThan(absl::Duration retention, int limit,
                                        clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
