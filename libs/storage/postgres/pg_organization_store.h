#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/pg/pool.h"
#include "libs/storage/organization_store.h"

namespace coder::storage {

/// Organizations and members in PostgreSQL. The pool must outlive it.
class PgOrganizationStore : public OrganizationStore {
 public:
  explicit PgOrganizationStore(pg::Pool& pool) : pool_(pool) {}

  absl::StatusOr<OrganizationRecord> Create(const NewOrganization& organization,
                                            const std::optional<RequestKey>& request,
                                            clock::Deadline deadline) override;
  absl::StatusOr<OrganizationRecord> Find(const lifecycle::OrganizationId& id,
                                          clock::Deadline deadline) override;
  absl::StatusOr<OrganizationRecord> FindByName(const std::string& name,
                                                clock::Deadline deadline) override;
  absl::StatusOr<OrganizationRecord> FindDefault(clock::Deadline deadline) override;
  absl::StatusOr<std::vector<OrganizationRecord>> List(const auth::Scope& scope,
                                                       const std::string& after_name, int limit,
                                                       clock::Deadline deadline) override;
  absl::StatusOr<OrganizationRecord> Update(const lifecycle::OrganizationId& id,
                                            const OrganizationChange& change,
                                            std::optional<int64_t> expected_revision,
                                            clock::Deadline deadline) override;
  absl::Status Delete(const lifecycle::OrganizationId& id, clock::Deadline deadline) override;
  absl::StatusOr<std::vector<MemberRecord>> ListMembers(const lifecycle::OrganizationId& id,
                                                        const std::string& after_username,
                                                        int limit,
                                                        clock::Deadline deadline) override;
  absl::StatusOr<MemberRecord> AddMember(const lifecycle::OrganizationId& id,
                                         const lifecycle::UserId& user,
                                         auth::OrganizationRoles roles,
                                         clock::Deadline deadline) override;
  absl::StatusOr<MemberRecord> SetMemberRoles(const lifecycle::OrganizationId& id,
                                              const lifecycle::UserId& user,
                                              auth::OrganizationRoles roles,
                                              clock::Deadline deadline) override;
  absl::Status RemoveMember(const lifecycle::OrganizationId& id, const lifecycle::UserId& user,
                            clock::Deadline deadline) override;

 private:
  pg::Pool& pool_;
};

}  // namespace coder::storage
