#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/auth/caller.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/types.h"
#include "libs/pg/result.h"

namespace coder::storage {

/// Readers of columns that CHECK constraints keep to words we know; anything else means that code
/// and schema disagree, which ends the process.

template <typename Id>
Id ReadId(const pg::Result::Row& row, std::string_view column) {
  return Id::Parse(row.Get<std::string>(column)).value();
}

inline auth::SiteRoles ReadSiteRoles(const pg::Result::Row& row, std::string_view column) {
  return auth::ParseSiteRoles("roles", row.Get<std::vector<std::string>>(column)).value();
}

inline auth::OrganizationRoles ReadOrganizationRoles(const pg::Result::Row& row,
                                                     std::string_view column) {
  return auth::ParseOrganizationRoles("roles", row.Get<std::vector<std::string>>(column)).value();
}

inline lifecycle::UserStatus ReadUserStatus(const pg::Result::Row& row, std::string_view column) {
  return lifecycle::ParseUserStatus(row.Get<std::string>(column)).value();
}

}  // namespace coder::storage
