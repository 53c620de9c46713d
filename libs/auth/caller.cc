#include "libs/auth/caller.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/error_reason.h"

namespace coder::auth {
namespace {

constexpr std::array kSiteRoles = {SiteRole::kOwner, SiteRole::kTemplateAdmin, SiteRole::kUserAdmin,
                                   SiteRole::kAuditor};
constexpr std::array kOrganizationRoles = {OrganizationRole::kAdmin,
                                           OrganizationRole::kTemplateAdmin};

template <typename Role, size_t N>
std::vector<std::string> Words(const std::array<Role, N>& all, RoleSet<Role> roles) {
  std::vector<std::string> words;
  for (Role role : all) {
    if (roles.Has(role)) words.emplace_back(ToString(role));
  }
  return words;
}

template <typename Role, size_t N>
absl::StatusOr<RoleSet<Role>> Parse(const std::array<Role, N>& all, absl::string_view field,
                                    const std::vector<std::string>& words) {
  RoleSet<Role> roles;
  for (const std::string& word : words) {
    bool known = false;
    for (Role role : all) {
      if (ToString(role) != word) continue;
      roles.Add(role);
      known = true;
    }
    if (known) continue;
    const std::string remedy = absl::StrCat(
        "is no role; use any of ", absl::StrJoin(all, ", ", [](std::string* out, Role role) {
          absl::StrAppend(out, "'", ToString(role), "'");
        }));
    return status::WithFieldViolation(
        absl::InvalidArgumentError(absl::StrCat(field, ": '", word, "' ", remedy)), field, remedy);
  }
  return roles;
}

}  // namespace

const Membership* Caller::MembershipIn(const lifecycle::OrganizationId& organization) const {
  for (const Membership& membership : memberships) {
    if (membership.organization_id == organization) return &membership;
  }
  return nullptr;
}

std::string Caller::Identity() const {
  switch (kind) {
    case CallerKind::kAnonymous:
      return "anonymous";
    case CallerKind::kUser:
      return absl::StrCat("user:", user_id.ToString());
    case CallerKind::kProvisioner:
      return absl::StrCat("provisioner:", provisioner_key_id.ToString());
    case CallerKind::kService:
      return "service";
  }
  return "anonymous";
}

absl::string_view ToString(SiteRole role) {
  switch (role) {
    case SiteRole::kOwner:
      return "owner";
    case SiteRole::kTemplateAdmin:
      return "template-admin";
    case SiteRole::kUserAdmin:
      return "user-admin";
    case SiteRole::kAuditor:
      return "auditor";
  }
  return "";
}

absl::string_view ToString(OrganizationRole role) {
  switch (role) {
    case OrganizationRole::kAdmin:
      return "admin";
    case OrganizationRole::kTemplateAdmin:
      return "template-admin";
  }
  return "";
}

std::vector<std::string> ToWords(SiteRoles roles) { return Words(kSiteRoles, roles); }
std::vector<std::string> ToWords(OrganizationRoles roles) {
  return Words(kOrganizationRoles, roles);
}

absl::StatusOr<SiteRoles> ParseSiteRoles(absl::string_view field,
                                         const std::vector<std::string>& words) {
  return Parse(kSiteRoles, field, words);
}

absl::StatusOr<OrganizationRoles> ParseOrganizationRoles(absl::string_view field,
                                                         const std::vector<std::string>& words) {
  return Parse(kOrganizationRoles, field, words);
}

}  // namespace coder::auth
