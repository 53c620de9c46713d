#pragma once

#include <string>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/api_key_store.h"

namespace coder::storage {

/// Sessions and API tokens in PostgreSQL. The pool must outlive it.
class PgApiKeyStore : public ApiKeyStore {
 public:
  explicit PgApiKeyStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<ApiKeyRecord> Create(const NewApiKeyRecord& key,
                                      clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ApiKeyRecord>> List(const lifecycle::UserId& user,
                                                 clock::Deadline deadline) override;
  absl::StatusOr<ApiKeyRecord> Find(const std::string& id, clock::Deadline deadline) override;
  absl::Status Revoke(const std::string& id, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
