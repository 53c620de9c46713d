#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/user_store.h"
#include "services/coderd-api/call.h"

namespace coder::api {

/// The account a request means by an id, a username or "me". INVALID_ARGUMENT with a violation of
/// `field` for an empty text; auth::NotFound, in the words of UserWords, when there is none. What
/// the caller may do to it is still to be asked.
absl::StatusOr<storage::UserRecord> ResolveUser(storage::UserStore& users, const CallContext& call,
                                                absl::string_view field, const std::string& text);

/// The organization a request means by an id, a name or "default"; otherwise as ResolveUser.
absl::StatusOr<storage::OrganizationRecord> ResolveOrganization(
    storage::OrganizationStore& organizations, const CallContext& call, absl::string_view field,
    const std::string& text);

/// How messages name what the request named: "user 'ada'", "organization 'default'".
std::string UserWords(const std::string& text);
std::string OrganizationWords(const std::string& text);

/// The account as the policy sees it.
auth::ObjectRef ObjectOf(const storage::UserRecord& user);

/// The organization as the policy sees it.
auth::ObjectRef ObjectOf(const storage::OrganizationRecord& organization);

/// The account or organization, when the caller may do `action` to it; else as Authorize.
absl::StatusOr<storage::UserRecord> AuthorizedUser(storage::UserStore& users,
                                                   const CallContext& call, auth::Action action,
                                                   absl::string_view field,
                                                   const std::string& text);
absl::StatusOr<storage::OrganizationRecord> AuthorizedOrganization(
    storage::OrganizationStore& organizations, const CallContext& call, auth::Action action,
    absl::string_view field, const std::string& text);

}  // namespace coder::api
