#include "libs/storage/postgres/testing/migrated_database.h"

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "libs/clock/deadline.h"
#include "libs/storage/postgres/migrator.h"
#include "libs/testing/postgres_server.h"

namespace coder::storage {
namespace {

using ::coder::testing::PostgresServer;

void DieUnless(const absl::Status& made) {
  if (made.ok()) return;
  std::cerr << "make the database of this test: " << made << std::endl;
  std::_Exit(1);
}

// Its own pool, which must be gone before the database is copied.
void LetServicesLogIn(const std::string& conninfo) {
  pg::Pool pool({.connect = {.conninfo = conninfo, .application_name = "test"}});
  for (const char* role : {"coder_api", "coder_relay"}) {
    DieUnless(pool.Execute(absl::StrCat("ALTER ROLE ", role, " LOGIN"), {},
                           clock::Deadline::After(absl::Minutes(1)))
                  .status());
  }
}

std::string MakeTemplate() {
  PostgresServer& server = PostgresServer::Shared();
  std::string name = server.CreateDatabase();
  DieUnless(Migrate(server.Conninfo(name), clock::Deadline::After(absl::Minutes(1))).status());
  LetServicesLogIn(server.Conninfo(name));
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
