#include "services/coderd-api/proto_convert_identity.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"

namespace coder::api {
namespace {

v1::UserStatus Encode(lifecycle::UserStatus status) {
  switch (status) {
    case lifecycle::UserStatus::kActive:
      return v1::USER_STATUS_ACTIVE;
    case lifecycle::UserStatus::kDormant:
      return v1::USER_STATUS_DORMANT;
    case lifecycle::UserStatus::kSuspended:
      return v1::USER_STATUS_SUSPENDED;
  }
  return v1::USER_STATUS_UNSPECIFIED;
}

}  // namespace

void Encode(const storage::UserRecord& user, v1::User& out) {
  out.set_id(user.id.ToString());
  out.set_email(user.email);
  out.set_username(user.username);
  out.set_name(user.name);
  out.set_status(Encode(user.status));
  for (const std::string& role : auth::ToWords(user.roles)) out.add_roles(role);
  *out.mutable_create_time() = events::ToProto(user.created_at);
  *out.mutable_update_time() = events::ToProto(user.updated_at);
  if (user.last_seen_at) *out.mutable_last_seen_time() = events::ToProto(*user.last_seen_at);
  out.set_etag(EtagOf(user.revision));
}

void Encode(const storage::OrganizationRecord& organization, v1::Organization& out) {
  out.set_id(organization.id.ToString());
  out.set_name(organization.name);
  out.set_display_name(organization.display_name);
  out.set_description(organization.description);
  out.set_is_default(organization.is_default);
  *out.mutable_create_time() = events::ToProto(organization.created_at);
  *out.mutable_update_time() = events::ToProto(organization.updated_at);
  out.set_etag(EtagOf(organization.revision));
}

void Encode(const storage::MemberRecord& member, v1::OrganizationMember& out) {
  out.set_organization_id(member.organization_id.ToString());
  out.set_user_id(member.user_id.ToString());
  out.set_username(member.username);
  for (const std::string& role : auth::ToWords(member.roles)) out.add_roles(role);
  *out.mutable_create_time() = events::ToProto(member.created_at);
}

void Encode(const storage::ApiKeyRecord& key, v1::Token& out) {
  out.set_id(key.id);
  out.set_name(key.name);
  out.set_user_id(key.user_id.ToString());
  *out.mutable_create_time() = events::ToProto(key.created_at);
  *out.mutable_expire_time() = events::ToProto(key.expires_at);
  if (key.last_used_at) *out.mutable_last_use_time() = events::ToProto(*key.last_used_at);
}

void Encode(const storage::ProvisionerKeyRecord& key, v1::ProvisionerKey& out) {
  out.set_id(key.id.ToString());
  out.set_organization_id(key.organization_id.ToString());
  out.set_name(key.name);
  out.mutable_tags()->insert(key.tags.begin(), key.tags.end());
  *out.mutable_create_time() = events::ToProto(key.created_at);
}

std::string EtagOf(int64_t revision) { return absl::StrCat(revision); }

std::optional<int64_t> RevisionOf(const std::string& etag) {
  if (etag.empty()) return std::nullopt;
  constexpr int64_t kNoRevision = -1;
  int64_t revision = kNoRevision;
  return absl::SimpleAtoi(etag, &revision) ? revision : kNoRevision;
}

}  // namespace coder::api
