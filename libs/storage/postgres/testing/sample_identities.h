#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/auth/token.h"
#include "libs/ids/uuid.h"
#include "libs/lifecycle/ids.h"
#include "libs/pg/pool.h"
#include "libs/pg/result.h"

namespace coder::storage {

/// Organizations, users and what they are known by, written by SQL for one test. Ends the process
/// with a sentence when a statement fails. Thread-safe.
class SampleIdentities {
 public:
  /// Writes through `pool`, the superuser's of a migrated database, which must outlive this.
  explicit SampleIdentities(pg::Pool& pool);

  /// The first organization of a database is the default one.
  lifecycle::OrganizationId AddOrganization(const std::string& name);

  /// A user `<name>@example.com`, a member of nothing; without a hash, one without a password.
  lifecycle::UserId AddUser(const std::string& name, const std::string& password_hash = "");
  void AddMember(const lifecycle::OrganizationId& organization, const lifecycle::UserId& user,
                 auth::OrganizationRoles roles = {});

  /// Replace the roles of a user, or of a membership there is. Open streams are not told.
  void SetSiteRoles(const lifecycle::UserId& user, auth::SiteRoles roles);
  void SetMemberRoles(const lifecycle::OrganizationId& organization, const lifecycle::UserId& user,
                      auth::OrganizationRoles roles);

  /// A session of the user: the token's text.
  std::string AddSession(const lifecycle::UserId& user, absl::Duration lifetime = absl::Hours(24));
  /// The same with a key of the caller's making.
  void AddSession(const auth::NewApiKey& key, const lifecycle::UserId& user,
                  absl::Duration lifetime = absl::Hours(24));

  /// A provisioner key of that hash.
  lifecycle::ProvisionerKeyId AddProvisionerKey(const std::string& secret_hash,
                                                const lifecycle::OrganizationId& organization,
                                                const lifecycle::UserId& creator);

  /// Runs a statement as the superuser.
  pg::Result Run(const std::string& sql, std::vector<pg::Param> params = {});

  /// A new id of any kind.
  template <typename Id>
  Id NewId() {
    return Id(uuids_.Next());
  }

 private:
  pg::Pool& pool_;
  ids::UuidV7Generator uuids_;
};

}  // namespace coder::storage
