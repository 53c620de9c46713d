#pragma once

#include <string>
#include <vector>

namespace coder::storage {

/// One step of the schema: version 12 from 0012_name.up.sql.
struct Migration {
  int version = 0;
  std::string name;
  /// Statements without BEGIN or COMMIT; they run in one transaction.
  std::string sql;
};

/// The steps built into this program, by rising version.
const std::vector<Migration>& EmbeddedMigrations();

}  // namespace coder::storage
