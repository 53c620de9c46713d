#pragma once

#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/provisioner_key_store.h"

namespace coder::storage {

/// Provisioner keys in PostgreSQL. The pool must outlive it.
class PgProvisionerKeyStore : public ProvisionerKeyStore {
 public:
  explicit PgProvisionerKeyStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<ProvisionerKeyRecord> Create(const NewProvisionerKeyRecord& key,
                                              clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ProvisionerKeyRecord>> List(
      const lifecycle::OrganizationId& organization, clock::Deadline deadline) override;
  absl::StatusOr<ProvisionerKeyRecord> Find(const lifecycle::ProvisionerKeyId& id,
                                            clock::Deadline deadline) override;
  absl::Status Revoke(const lifecycle::ProvisionerKeyId& id, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
