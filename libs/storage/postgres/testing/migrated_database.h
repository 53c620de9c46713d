#pragma once

#include <string>

#include "libs/pg/pool.h"

namespace coder::storage {

/// A fresh database with this program's schema, for one test. The schema is migrated once per
/// process into a template on PostgresServer::Shared(), and each database is a copy of it. A schema
/// that cannot be made ends the test process with a sentence.
class MigratedDatabase {
 public:
  /// `max_connections` bounds its pool.
  explicit MigratedDatabase(int max_connections = 10);

  const std::string& name() const { return name_; }

  /// libpq's address of it, as the superuser unless another role of the server is named. The
  /// services' roles may log in.
  std::string conninfo(const std::string& user = "postgres") const;

  /// Sessions of the superuser.
  pg::Pool& pool() { return pool_; }

 private:
  std::string name_;
  pg::Pool pool_;
};

}  // namespace coder::storage
