#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

/// A provisioner key without its secret.
struct ProvisionerKeyRecord {
  lifecycle::ProvisionerKeyId id;
  lifecycle::OrganizationId organization_id;
  std::string name;
  std::map<std::string, std::string> tags;
  absl::Time created_at;
};

struct NewProvisionerKeyRecord {
  lifecycle::ProvisionerKeyId id;
  lifecycle::OrganizationId organization_id;
  std::string name;
  /// SHA-256, 32 bytes.
  std::string hashed_secret;
  std::map<std::string, std::string> tags;
  lifecycle::UserId creator;
};

/// The keys provisioner daemons authenticate with; revoked ones are absent. Thread-safe; each
/// method is one transaction. Every method returns, besides its own, the errors of Pool::Acquire
/// and of libs/pg/sqlstate.h.
class ProvisionerKeyStore {
 public:
  virtual ~ProvisionerKeyStore() = default;

  /// ALREADY_EXISTS for a name in use in the organization; NOT_FOUND for an absent organization.
  virtual absl::StatusOr<ProvisionerKeyRecord> Create(const NewProvisionerKeyRecord& key,
                                                      clock::Deadline deadline) = 0;

  /// Ordered by name, ignoring case.
  virtual absl::StatusOr<std::vector<ProvisionerKeyRecord>> List(
      const lifecycle::OrganizationId& organization, clock::Deadline deadline) = 0;

  /// NOT_FOUND.
  virtual absl::StatusOr<ProvisionerKeyRecord> Find(const lifecycle::ProvisionerKeyId& id,
                                                    clock::Deadline deadline) = 0;

  /// Ends a key for good. NOT_FOUND.
  virtual absl::Status Revoke(const lifecycle::ProvisionerKeyId& id, clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
