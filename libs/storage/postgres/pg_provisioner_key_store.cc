#include "libs/storage/postgres/pg_provisioner_key_store.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/identity_rows.h"

namespace coder::storage {
namespace {

#define KEY_COLUMNS                                                                \
  "id, organization_id, name, created_at, "                                        \
  "ARRAY(SELECT t.key FROM jsonb_each_text(tags) t ORDER BY t.key) AS tag_names, " \
  "ARRAY(SELECT t.value FROM jsonb_each_text(tags) t ORDER BY t.key) AS tag_values "

constexpr char kInsert[] =
    "INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, tags, created_by) "
    "SELECT $1, o.id, $3, $4, jsonb_object($5::text[], $6::text[]), $7 "
    "FROM organizations o WHERE o.id = $2 AND o.deleted_at IS NULL "
    "RETURNING " KEY_COLUMNS;
constexpr char kList[] = "SELECT " KEY_COLUMNS
                         "FROM provisioner_keys WHERE organization_id = $1 AND revoked_at IS NULL "
                         "ORDER BY lower(name)";
constexpr char kFind[] =
    "SELECT " KEY_COLUMNS "FROM provisioner_keys WHERE id = $1 AND revoked_at IS NULL";
constexpr char kRevoke[] =
    "UPDATE provisioner_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL";

#undef KEY_COLUMNS

ProvisionerKeyRecord Read(const pg::Result::Row& row) {
  ProvisionerKeyRecord key;
  key.id = ReadId<lifecycle::ProvisionerKeyId>(row, "id");
  key.organization_id = ReadId<lifecycle::OrganizationId>(row, "organization_id");
  key.name = row.Get<std::string>("name");
  key.created_at = row.Get<absl::Time>("created_at");
  const auto names = row.Get<std::vector<std::string>>("tag_names");
  const auto values = row.Get<std::vector<std::string>>("tag_values");
  for (size_t i = 0; i < names.size(); ++i) key.tags.emplace(names[i], values[i]);
  return key;
}

absl::Status Absent() {
  return absl::NotFoundError("find provisioner key: no live key has this id");
}

absl::Status Translate(const absl::Status& error, const NewProvisionerKeyRecord& key) {
  if (pg::ConstraintName(error) != "provisioner_keys_name_key") return error;
  return status::WithFieldViolation(
      absl::AlreadyExistsError(absl::StrCat("create provisioner key '", key.name,
                                            "': the organization has a key of this name; revoke "
                                            "it or choose another name")),
      "name", "is in use");
}

}  // namespace

absl::StatusOr<ProvisionerKeyRecord> PgProvisionerKeyStore::Create(
    const NewProvisionerKeyRecord& key, clock::Deadline deadline) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const auto& [name, value] : key.tags) {
    names.push_back(name);
    values.push_back(value);
  }
  const auto inserted =
      pool_.Execute(kInsert,
                    {key.id.ToString(), key.organization_id.ToString(), key.name,
                     pg::Bytea{key.hashed_secret}, names, values, key.creator.ToString()},
                    deadline);
  if (!inserted.ok()) return Translate(inserted.status(), key);
  if (inserted->empty()) {
    return absl::NotFoundError("create provisioner key: the organization does not exist");
  }
  return Read((*inserted)[0]);
}

absl::StatusOr<std::vector<ProvisionerKeyRecord>> PgProvisionerKeyStore::List(
    const lifecycle::OrganizationId& organization, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows,
                   pool_.Execute(kList, {organization.ToString()}, deadline));
  std::vector<ProvisionerKeyRecord> keys;
  for (const pg::Result::Row& row : rows) keys.push_back(Read(row));
  return keys;
}

absl::StatusOr<ProvisionerKeyRecord> PgProvisionerKeyStore::Find(
    const lifecycle::ProvisionerKeyId& id, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kFind, {id.ToString()}, deadline));
  if (rows.empty()) return Absent();
  return Read(rows[0]);
}

absl::Status PgProvisionerKeyStore::Revoke(const lifecycle::ProvisionerKeyId& id,
                                           clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kRevoke, {id.ToString()}, deadline));
  return rows.affected() == 0 ? Absent() : absl::OkStatus();
}

}  // namespace coder::storage
