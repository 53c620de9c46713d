#include "libs/storage/postgres/testing/sample_identities.h"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

#include "libs/clock/deadline.h"

namespace coder::storage {

using lifecycle::OrganizationId;
using lifecycle::ProvisionerKeyId;
using lifecycle::UserId;

SampleIdentities::SampleIdentities(pg::Pool& pool)
    : pool_(pool),
      uuids_([] { return absl::FromChrono(std::chrono::system_clock::now()); },
             ids::SystemRandom()) {}

OrganizationId SampleIdentities::AddOrganization(const std::string& name) {
  const auto id = NewId<OrganizationId>();
  Run("INSERT INTO organizations (id, name, is_default) "
      "SELECT $1, $2, NOT EXISTS (SELECT FROM organizations)",
      {id.ToString(), name});
  return id;
}

UserId SampleIdentities::AddUser(const std::string& name, const std::string& password_hash) {
  const auto id = NewId<UserId>();
  Run("INSERT INTO users (id, email, username, password_hash) "
      "VALUES ($1, $2, $3, nullif($4, ''))",
      {id.ToString(), name + "@example.com", name, password_hash});
  return id;
}

void SampleIdentities::AddMember(const OrganizationId& organization, const UserId& user,
                                 auth::OrganizationRoles roles) {
  Run("INSERT INTO organization_members (organization_id, user_id, roles) VALUES ($1, $2, $3)",
      {organization.ToString(), user.ToString(), auth::ToWords(roles)});
}

void SampleIdentities::SetSiteRoles(const UserId& user, auth::SiteRoles roles) {
  Run("UPDATE users SET site_roles = $2 WHERE id = $1", {user.ToString(), auth::ToWords(roles)});
}

void SampleIdentities::SetMemberRoles(const OrganizationId& organization, const UserId& user,
                                      auth::OrganizationRoles roles) {
  Run("UPDATE organization_members SET roles = $3 WHERE organization_id = $1 AND user_id = $2",
      {organization.ToString(), user.ToString(), auth::ToWords(roles)});
}

std::string SampleIdentities::AddSession(const UserId& user, absl::Duration lifetime) {
  const auth::NewApiKey key = auth::GenerateApiKey();
  AddSession(key, user, lifetime);
  return key.text;
}

void SampleIdentities::AddSession(const auth::NewApiKey& key, const UserId& user,
                                  absl::Duration lifetime) {
  Run("INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at) "
      "VALUES ($1, $2, $3, 'session', $4::interval, now() + $4::interval)",
      {key.id, pg::Bytea{key.secret_hash}, user.ToString(), lifetime});
}

ProvisionerKeyId SampleIdentities::AddProvisionerKey(const std::string& secret_hash,
                                                     const OrganizationId& organization,
                                                     const UserId& creator) {
  const auto id = NewId<ProvisionerKeyId>();
  Run("INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by) "
      "VALUES ($1, $2, $3, $4, $5)",
      {id.ToString(), organization.ToString(), id.ToString(), pg::Bytea{secret_hash},
       creator.ToString()});
  return id;
}

pg::Result SampleIdentities::Run(const std::string& sql, std::vector<pg::Param> params) {
  auto result = pool_.Execute(sql, std::move(params), clock::Deadline::After(absl::Minutes(1)));
  if (!result.ok()) {
    std::cerr << "prepare the rows of this test: " << sql << ": " << result.status() << std::endl;
    std::_Exit(1);
  }
  return *std::move(result);
}

}  // namespace coder::storage
