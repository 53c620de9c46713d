#include "libs/storage/postgres/testing/migrated_database.h"

#include <cstdlib>
#include <iostream>

#include "libs/clock/deadline.h"
#include "libs/storage/postgres/migrator.h"
#include "libs/testing/postgres_server.h"

namespace coder::storage {
namespace {

using ::coder::testing::PostgresServer;

std::string MakeTemplate() {
  PostgresServer& server = PostgresServer::Shared();
  std::string name = server.CreateDatabase();
  const auto migrated = Migrate(server.Conninfo(name), clock::Deadline::After(absl::Minutes(1)));
  if (!migrated.ok()) {
    std::cerr << "make the database of this test: " << migrated.status() << std::endl;
    std::_Exit(1);
  }
  return name;
}

const std::string& Template() {
  static const std::string* const name = new std::string(MakeTemplate());
  return *name;
}

}  // namespace

MigratedDatabase::MigratedDatabase(int max_connections)
    : name_(PostgresServer::Shared().CreateDatabase(Template())),
      pool_({.connect = {.conninfo = conninfo(), .application_name = "test"},
             .max_connections = max_connections}) {}

std::string MigratedDatabase::conninfo(const std::string& user) const {
  return PostgresServer::Shared().Conninfo(name_, user);
}

}  // namespace coder::storage
