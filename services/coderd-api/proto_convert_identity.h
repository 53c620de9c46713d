#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coder/api/v1/auth.pb.h"
#include "coder/api/v1/organization.pb.h"
#include "coder/api/v1/provisioner.pb.h"
#include "coder/api/v1/user.pb.h"
#include "libs/storage/api_key_store.h"
#include "libs/storage/organization_store.h"
#include "libs/storage/provisioner_key_store.h"
#include "libs/storage/user_store.h"

namespace coder::api {

/// Each writes a record as the API shows it.
void Encode(const storage::UserRecord& user, v1::User& out);
void Encode(const storage::OrganizationRecord& organization, v1::Organization& out);
void Encode(const storage::MemberRecord& member, v1::OrganizationMember& out);
void Encode(const storage::ApiKeyRecord& key, v1::Token& out);
void Encode(const storage::ProvisionerKeyRecord& key, v1::ProvisionerKey& out);

/// The etag of a revision.
std::string EtagOf(int64_t revision);

/// The revision an etag stands for; nothing for an empty one. A text that is no etag of ours is the
/// etag of no revision.
std::optional<int64_t> RevisionOf(const std::string& etag);

}  // namespace coder::api
