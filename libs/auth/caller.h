#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/lifecycle/ids.h"

namespace coder::auth {

/// What presented itself: nobody, a person (session or API token), a provisioner daemon
/// (provisioner key), or a service of this deployment (service token).
enum class CallerKind : uint8_t { kAnonymous, kUser, kProvisioner, kService };

/// Roles over the whole deployment; being a member is not a role, everybody is one.
enum class SiteRole : uint8_t { kOwner, kTemplateAdmin, kUserAdmin, kAuditor };

/// Roles within one organization; being a member of it is a Membership without roles.
enum class OrganizationRole : uint8_t { kAdmin, kTemplateAdmin };

/// A set of roles of one kind. A value.
template <typename Role>
class RoleSet {
 public:
  constexpr RoleSet() = default;
  constexpr RoleSet(std::initializer_list<Role> roles) {
    for (Role role : roles) Add(role);
  }

  constexpr void Add(Role role) { bits_ |= Bit(role); }
  constexpr bool Has(Role role) const { return (bits_ & Bit(role)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }

  friend constexpr bool operator==(RoleSet, RoleSet) = default;

 private:
  static constexpr uint8_t Bit(Role role) { return uint8_t{1} << static_cast<uint8_t>(role); }

  uint8_t bits_ = 0;
};

using SiteRoles = RoleSet<SiteRole>;
using OrganizationRoles = RoleSet<OrganizationRole>;

/// What a user is in one organization.
struct Membership {
  lifecycle::OrganizationId organization_id;
  OrganizationRoles roles;

  friend bool operator==(const Membership&, const Membership&) = default;
};

/// Who makes a call, as the database knew it at most 2 s before. A value, shared immutably by the
/// calls of one token.
struct Caller {
  CallerKind kind = CallerKind::kAnonymous;

  // Of a user.
  lifecycle::UserId user_id;
  std::string username;
  SiteRoles site_roles;
  std::vector<Membership> memberships;
  /// Rises with every change of what the user may see or do; equal versions have equal rights.
  int64_t access_version = 0;
  /// The session or API token the call was made with, and when it ends.
  std::string api_key_id;
  absl::Time expires_at = absl::InfiniteFuture();

  // Of a provisioner daemon.
  lifecycle::ProvisionerKeyId provisioner_key_id;
  std::string provisioner_key_name;
  /// The only organization whose jobs it may run.
  lifecycle::OrganizationId organization_id;
  std::map<std::string, std::string> tags;

  /// SHA-256 of the presented token: the same token, the same caller. Empty when anonymous.
  std::string token_hash;

  /// The membership in an organization, or null. Borrowed from this value.
  const Membership* MembershipIn(const lifecycle::OrganizationId& organization) const;

  /// A stable text for limits and idempotency: "user:<id>", "provisioner:<key id>", "service" or
  /// "anonymous".
  std::string Identity() const;
};

using CallerPtr = std::shared_ptr<const Caller>;

/// The words for the roles, as stored and sent ("template-admin"). Static storage.
absl::string_view ToString(SiteRole role);
absl::string_view ToString(OrganizationRole role);

/// The roles of a set in the order of the enum, as words.
std::vector<std::string> ToWords(SiteRoles roles);
std::vector<std::string> ToWords(OrganizationRoles roles);

/// The set of these words. Doubled words count once. INVALID_ARGUMENT with a violation of `field`,
/// listing the words there are, for any other.
absl::StatusOr<SiteRoles> ParseSiteRoles(absl::string_view field,
                                         const std::vector<std::string>& words);
absl::StatusOr<OrganizationRoles> ParseOrganizationRoles(absl::string_view field,
                                                         const std::vector<std::string>& words);

}  // namespace coder::auth
