#pragma once

#include <string>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/credential_store.h"

namespace coder::storage {

/// Credentials in PostgreSQL. The pool must outlive it.
class PgCredentialStore : public CredentialStore {
 public:
  explicit PgCredentialStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<std::vector<ApiKeyCredential>> FindApiKeys(const std::vector<std::string>& ids,
                                                            clock::Deadline deadline) override;
  absl::StatusOr<std::vector<ProvisionerKeyCredential>> FindProvisionerKeys(
      const std::vector<std::string>& hashed_secrets, clock::Deadline deadline) override;
  absl::Status RecordUse(const std::string& api_key_id, clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
