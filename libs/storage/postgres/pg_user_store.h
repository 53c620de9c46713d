#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/user_store.h"

namespace coder::storage {

/// Accounts in PostgreSQL. The pool must outlive it.
class PgUserStore : public UserStore {
 public:
  explicit PgUserStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<bool> HasFirstUser(clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> CreateFirstUser(const NewUser& user,
                                             const lifecycle::OrganizationId& organization,
                                             clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> Create(const NewUser& user, const std::optional<RequestKey>& request,
                                    clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> Find(const lifecycle::UserId& id, clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> FindByUsername(const std::string& username,
                                            clock::Deadline deadline) override;
  absl::StatusOr<UserWithPassword> FindByEmail(const std::string& email,
                                               clock::Deadline deadline) override;
  absl::StatusOr<std::string> FindPasswordHash(const lifecycle::UserId& id,
                                               clock::Deadline deadline) override;
  absl::StatusOr<std::vector<UserRecord>> List(const UserQuery& query,
                                               clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> Update(const lifecycle::UserId& id, const UserChange& change,
                                    std::optional<int64_t> expected_revision,
                                    clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> SetRoles(const lifecycle::UserId& id, auth::SiteRoles roles,
                                      int64_t expected_revision, clock::Deadline deadline) override;
  absl::StatusOr<UserRecord> SetStatus(const lifecycle::UserId& id, lifecycle::UserStatus status,
                                       int64_t expected_revision,
                                       clock::Deadline deadline) override;
  absl::Status SetPassword(const lifecycle::UserId& id, const std::string& password_hash,
                           const std::string& kept_session, int64_t expected_revision,
                           clock::Deadline deadline) override;
  absl::Status Delete(const lifecycle::UserId& id, int64_t expected_revision,
                      clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
