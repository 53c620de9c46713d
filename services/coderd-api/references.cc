#include "services/coderd-api/references.h"

#include "absl/strings/str_cat.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

// The store's sentence knows nothing of the words the caller used.
template <typename Record>
absl::StatusOr<Record> InCallersWords(absl::StatusOr<Record> found, const std::string& words) {
  if (found.status().code() == absl::StatusCode::kNotFound) return auth::NotFound(words);
  return found;
}

}  // namespace

std::string UserWords(const std::string& text) { return absl::StrCat("user '", text, "'"); }

std::string OrganizationWords(const std::string& text) {
  return absl::StrCat("organization '", text, "'");
}

auth::ObjectRef ObjectOf(const storage::UserRecord& user) {
  return {.owner_id = user.id, .is_site_owner = user.roles.Has(auth::SiteRole::kOwner)};
}

auth::ObjectRef ObjectOf(const storage::OrganizationRecord& organization) {
  return {.organization_id = organization.id};
}

namespace {

absl::StatusOr<storage::UserRecord> FindUser(storage::UserStore& users, const CallContext& call,
                                             const std::string& text) {
  if (text == "me" && call.caller->kind == auth::CallerKind::kUser) {
    return users.Find(call.caller->user_id, call.deadline);
  }
  const auto id = lifecycle::UserId::Parse(text);
  return InCallersWords(
      id.ok() ? users.Find(*id, call.deadline) : users.FindByUsername(text, call.deadline),
      UserWords(text));
}

absl::StatusOr<storage::OrganizationRecord> FindOrganization(
    storage::OrganizationStore& organizations, const CallContext& call, const std::string& text) {
  const auto id = lifecycle::OrganizationId::Parse(text);
  if (id.ok()) {
    return InCallersWords(organizations.Find(*id, call.deadline), OrganizationWords(text));
  }
  if (text == "default") return organizations.FindDefault(call.deadline);
  return InCallersWords(organizations.FindByName(text, call.deadline), OrganizationWords(text));
}

}  // namespace

absl::StatusOr<storage::UserRecord> ResolveUser(storage::UserStore& users, const CallContext& call,
                                                absl::string_view field, const std::string& text) {
  if (text.empty()) return InvalidField(field, "is empty; use an id, a username or 'me'");
  ASSIGN_OR_RETURN(storage::UserRecord user, FindUser(users, call, text));
  call.Concerns("user", user.id.ToString(), user.username);
  call.Concerns("member", user.id.ToString(), user.username);
  return user;
}

absl::StatusOr<storage::OrganizationRecord> ResolveOrganization(
    storage::OrganizationStore& organizations, const CallContext& call, absl::string_view field,
    const std::string& text) {
  if (text.empty()) return InvalidField(field, "is empty; use an id, a name or 'default'");
  ASSIGN_OR_RETURN(storage::OrganizationRecord organization,
                   FindOrganization(organizations, call, text));
  call.Concerns("organization", organization.id.ToString(), organization.name);
  return organization;
}

absl::StatusOr<storage::UserRecord> AuthorizedUser(storage::UserStore& users,
                                                   const CallContext& call, auth::Action action,
                                                   absl::string_view field,
                                                   const std::string& text) {
  ASSIGN_OR_RETURN(storage::UserRecord user, ResolveUser(users, call, field, text));
  RETURN_IF_ERROR(call.Authorize(action, ObjectOf(user), UserWords(text)));
  return user;
}

absl::StatusOr<storage::OrganizationRecord> AuthorizedOrganization(
    storage::OrganizationStore& organizations, const CallContext& call, auth::Action action,
    absl::string_view field, const std::string& text) {
  ASSIGN_OR_RETURN(storage::OrganizationRecord organization,
                   ResolveOrganization(organizations, call, field, text));
  RETURN_IF_ERROR(call.Authorize(action, ObjectOf(organization), OrganizationWords(text)));
  return organization;
}

}  // namespace coder::api
