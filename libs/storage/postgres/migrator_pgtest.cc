#include <catch2/catch.hpp>
#include <thread>

#include "libs/storage/postgres/migrator.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/testing/matchers.h"
#include "libs/testing/postgres_server.h"

namespace coder::storage {
namespace {

using clock::Deadline;
using ::coder::testing::IsOk;
using ::coder::testing::PostgresServer;
using ::coder::testing::StatusIs;

Deadline Ample() { return Deadline::After(absl::Minutes(1)); }

const std::vector<Migration>& Steps() {
  static const auto* const steps = new std::vector<Migration>{
      {1, "make_a", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);"},
      {2, "make_b", "CREATE TABLE b (id int);"},
  };
  return *steps;
}

struct EmptyDatabase {
  std::string conninfo =
      PostgresServer::Shared().Conninfo(PostgresServer::Shared().CreateDatabase());
  pg::Pool pool{{.connect = {.conninfo = conninfo}}};

  int64_t Count(const std::string& table) {
    return pool.Execute("SELECT count(*) FROM " + table, {}, Ample()).value().Get<int64_t>(0, 0);
  }
};

TEST_CASE("steps run once and are recorded") {
  EmptyDatabase database;
  const auto first = Migrate(database.conninfo, Ample(), Steps());
  REQUIRE_THAT(first, IsOk());
  CHECK(first->from == 0);
  CHECK(first->to == 2);
  const auto second = Migrate(database.conninfo, Ample(), Steps());
  REQUIRE_THAT(second, IsOk());
  CHECK(second->from == 2);
  CHECK(second->to == 2);
  CHECK(database.Count("a") == 1);
  CHECK(database.Count("schema_migrations") == 2);
}

TEST_CASE("migrators side by side do the work once") {
  EmptyDatabase database;
  absl::Status other;
  std::thread thread([&] { other = Migrate(database.conninfo, Ample(), Steps()).status(); });
  const absl::Status mine = Migrate(database.conninfo, Ample(), Steps()).status();
  thread.join();
  CHECK_THAT(mine, IsOk());
  CHECK_THAT(other, IsOk());
  CHECK(database.Count("a") == 1);
}

TEST_CASE("a step that fails half-way leaves nothing, and those before it stay") {
  EmptyDatabase database;
  std::vector<Migration> steps = Steps();
  steps.push_back({3, "break", "INSERT INTO a VALUES (2); SELECT 1 / 0;"});
  CHECK_THAT(Migrate(database.conninfo, Ample(), steps),
             StatusIs(absl::StatusCode::kInvalidArgument, "step 3 (break)"));
  CHECK(database.Count("a") == 1);
  CHECK(database.Count("schema_migrations") == 2);
  steps.back() = {3, "repaired", "INSERT INTO a VALUES (2);"};
  const auto repaired = Migrate(database.conninfo, Ample(), steps);
  REQUIRE_THAT(repaired, IsOk());
  CHECK(repaired->from == 2);
  CHECK(database.Count("a") == 2);
}

TEST_CASE("steps out of order are refused before anything runs") {
  EmptyDatabase database;
  CHECK_THAT(Migrate(database.conninfo, Ample(), {{2, "x", ""}, {2, "y", ""}}),
             StatusIs(absl::StatusCode::kInvalidArgument, "follows step 2"));
}

TEST_CASE("a waiting migrator gives up at its deadline") {
  EmptyDatabase database;
  const auto holder = database.pool.Acquire(Ample()).value();
  REQUIRE_THAT(
      holder->Execute("SELECT pg_advisory_lock(hashtext('coder.schema_migrations'))", {}, Ample()),
      IsOk());
  CHECK_THAT(Migrate(database.conninfo, Deadline::After(absl::Milliseconds(200)), Steps()),
             StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_CASE("a service accepts a range of versions and says what to run outside it") {
  EmptyDatabase database;
  CHECK_THAT(CheckSchema(database.pool, 1, 2, Ample()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "it is 0 and this program needs 1"));
  REQUIRE_THAT(Migrate(database.conninfo, Ample(), Steps()), IsOk());
  CHECK_THAT(CheckSchema(database.pool, 2, 2, Ample()), IsOk());
  CHECK_THAT(CheckSchema(database.pool, 1, 3, Ample()), IsOk());
  CHECK_THAT(CheckSchema(database.pool, 3, 4, Ample()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "coderd-api migrate"));
  CHECK_THAT(CheckSchema(database.pool, 1, 1, Ample()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "newer release"));
}

TEST_CASE("the schema of this program can be made, and each test has its own copy") {
  MigratedDatabase one;
  MigratedDatabase two;
  CHECK(one.name() != two.name());
  CHECK_THAT(CheckSchema(one.pool(), LatestVersion(), LatestVersion(), Ample()), IsOk());
  REQUIRE_THAT(one.pool().Execute("CREATE TABLE only_here ()", {}, Ample()), IsOk());
  CHECK_FALSE(two.pool().Execute("SELECT FROM only_here", {}, Ample()).ok());
  const auto again = Migrate(one.conninfo(), Ample());
  REQUIRE_THAT(again, IsOk());
  CHECK(again->from == again->to);
}

}  // namespace
}  // namespace coder::storage
