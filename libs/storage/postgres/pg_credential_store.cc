#include "libs/storage/postgres/pg_credential_store.h"

#include <utility>

#include "absl/strings/str_split.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/identity_rows.h"

namespace coder::storage {
namespace {

// Memberships travel as two arrays of the same order; roles of one organization joined by commas.
constexpr char kFindApiKeys[] = R"sql(
  SELECT k.id, k.hashed_secret, k.expires_at, k.revoked_at, k.last_used_at,
         u.id AS user_id, u.username, u.status, u.deleted_at IS NOT NULL AS deleted,
         u.site_roles, u.access_version, m.organizations, m.roles
  FROM api_keys k
  JOIN users u ON u.id = k.user_id
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(om.organization_id::text ORDER BY om.organization_id), '{}')
             AS organizations,
           coalesce(array_agg(array_to_string(om.roles, ',') ORDER BY om.organization_id), '{}')
             AS roles
    FROM organization_members om
    JOIN organizations o ON o.id = om.organization_id AND o.deleted_at IS NULL
    WHERE om.user_id = u.id
  ) m
  WHERE k.id = ANY ($1)
)sql";

constexpr char kFindProvisionerKeys[] = R"sql(
  SELECT k.id, k.hashed_secret, k.name, k.organization_id,
         coalesce(k.revoked_at, o.deleted_at) AS revoked_at,
         ARRAY(SELECT t.key FROM jsonb_each_text(k.tags) t ORDER BY t.key) AS tag_names,
         ARRAY(SELECT t.value FROM jsonb_each_text(k.tags) t ORDER BY t.key) AS tag_values
  FROM provisioner_keys k JOIN organizations o ON o.id = k.organization_id
  WHERE k.hashed_secret = ANY ($1)
)sql";

// Calls of one token on many replicas write once, not once each.
constexpr char kRecordUse[] = R"sql(
  WITH used AS (
    UPDATE api_keys SET
      last_used_at = now(),
      expires_at = CASE kind WHEN 'session' THEN greatest(expires_at, now() + lifetime)
                             ELSE expires_at END
    WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
      AND (last_used_at IS NULL OR last_used_at < now() - interval '30 seconds')
    RETURNING user_id
  )
  UPDATE users SET
    last_seen_at = now(),
    status = CASE status WHEN 'dormant' THEN 'active' ELSE status END
  FROM used WHERE users.id = used.user_id
)sql";

std::vector<auth::Membership> ReadMemberships(const pg::Result::Row& row) {
  const auto organizations = row.Get<std::vector<std::string>>("organizations");
  const auto roles = row.Get<std::vector<std::string>>("roles");
  std::vector<auth::Membership> memberships;
  for (size_t i = 0; i < organizations.size(); ++i) {
    const std::vector<std::string> words = absl::StrSplit(roles[i], ',', absl::SkipEmpty());
    memberships.push_back({lifecycle::OrganizationId::Parse(organizations[i]).value(),
                           auth::ParseOrganizationRoles("roles", words).value()});
  }
  return memberships;
}

ApiKeyCredential ReadApiKey(const pg::Result::Row& row) {
  ApiKeyCredential key;
  key.id = row.Get<std::string>("id");
  key.hashed_secret = row.Get<std::string>("hashed_secret");
  key.expires_at = row.Get<absl::Time>("expires_at");
  key.revoked_at = row.Get<std::optional<absl::Time>>("revoked_at");
  key.last_used_at = row.Get<std::optional<absl::Time>>("last_used_at");
  key.user_id = ReadId<lifecycle::UserId>(row, "user_id");
  key.username = row.Get<std::string>("username");
  key.user_status = ReadUserStatus(row, "status");
  key.user_deleted = row.Get<bool>("deleted");
  key.site_roles = ReadSiteRoles(row, "site_roles");
  key.memberships = ReadMemberships(row);
  key.access_version = row.Get<int64_t>("access_version");
  return key;
}

ProvisionerKeyCredential ReadProvisionerKey(const pg::Result::Row& row) {
  ProvisionerKeyCredential key;
  key.id = ReadId<lifecycle::ProvisionerKeyId>(row, "id");
  key.hashed_secret = row.Get<std::string>("hashed_secret");
  key.name = row.Get<std::string>("name");
  key.organization_id = ReadId<lifecycle::OrganizationId>(row, "organization_id");
  key.revoked_at = row.Get<std::optional<absl::Time>>("revoked_at");
  const auto names = row.Get<std::vector<std::string>>("tag_names");
  const auto values = row.Get<std::vector<std::string>>("tag_values");
  for (size_t i = 0; i < names.size(); ++i) key.tags.emplace(names[i], values[i]);
  return key;
}

}  // namespace

absl::StatusOr<std::vector<ApiKeyCredential>> PgCredentialStore::FindApiKeys(
    const std::vector<std::string>& ids, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFindApiKeys, {ids}, deadline));
  std::vector<ApiKeyCredential> keys;
  for (const pg::Result::Row& row : rows) keys.push_back(ReadApiKey(row));
  return keys;
}

absl::StatusOr<std::vector<ProvisionerKeyCredential>> PgCredentialStore::FindProvisionerKeys(
    const std::vector<std::string>& hashed_secrets, clock::Deadline deadline) {
  std::vector<pg::Bytea> hashes;
  for (const std::string& hash : hashed_secrets) hashes.push_back({hash});
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFindProvisionerKeys, {hashes}, deadline));
  std::vector<ProvisionerKeyCredential> keys;
  for (const pg::Result::Row& row : rows) keys.push_back(ReadProvisionerKey(row));
  return keys;
}

absl::Status PgCredentialStore::RecordUse(const std::string& api_key_id, clock::Deadline deadline) {
  return pool_.Execute(kRecordUse, {api_key_id}, deadline).status();
}

}  // namespace coder::storage
