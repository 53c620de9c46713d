#include <catch2/catch.hpp>
#include <string>

#include "libs/clock/deadline.h"
#include "libs/clock/system_clock.h"
#include "libs/crypto/keyring.h"
#include "libs/server/log.h"
#include "libs/server/program.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "services/coderd-api/app.h"

namespace coder::api {
namespace {

using Catch::Contains;

// A configuration with which coderd-api starts on `database`, and what it logs.
struct Fixture {
  Fixture() {
    config.postgres_url = server::Secret(database.conninfo());
    config.keyring = crypto::Keyring::NewLine("test");
    config.admin.listen = "127.0.0.1:0";
    config.grpc.listen = "127.0.0.1:0";
    config.grpc.drain_delay = absl::ZeroDuration();
  }

  int64_t Number(const std::string& sql) {
    const auto rows = database.pool().Execute(sql, {}, clock::Deadline::After(absl::Minutes(1)));
    INFO(rows.status());
    REQUIRE(rows.ok());
    return rows->Get<int64_t>(0, 0);
  }

  int Serve() {
    auto app = App::Create(config, server::CommandLine(), clock);
    INFO(app.status());
    REQUIRE(app.ok());
    return (*app)->Run();
  }

  storage::MigratedDatabase database;
  Config config;
  clock::SystemClock clock;
  std::string logged;
  log::ScopedCapture capture{[this](const std::string& line) { logged += line; }};
};

TEST_CASE_METHOD(Fixture, "migrate brings a database up to date, and doing it again is no change") {
  CHECK(RunCommand(config, "migrate") == server::kExitOk);
  const int64_t version = Number("SELECT max(version)::bigint FROM schema_migrations");
  CHECK_THAT(logged, Contains("\"from\":" + std::to_string(version)) &&
                         Contains("\"to\":" + std::to_string(version)));
}

TEST_CASE_METHOD(Fixture,
                 "new-epoch raises the epoch, with the owner's address where one is named") {
  const int64_t before = Number("SELECT extract(epoch FROM now())::bigint");
  CHECK(RunCommand(config, "new-epoch") == server::kExitOk);
  const int64_t first = Number("SELECT epoch FROM relay_cursor");
  CHECK(first >= before);
  config.migrate_url = config.postgres_url;
  config.postgres_url = server::Secret("host=/nowhere");
  CHECK(RunCommand(config, "new-epoch") == server::kExitOk);
  CHECK(Number("SELECT epoch FROM relay_cursor") > first);
}

TEST_CASE_METHOD(Fixture, "a command that cannot be done fails with a sentence") {
  SECTION("no database is named") {
    config.postgres_url = server::Secret();
    CHECK(RunCommand(config, "migrate") == server::kExitFailed);
    CHECK_THAT(logged, Contains("neither migrate-url nor postgres-url is set"));
  }
  SECTION("the database does not answer") {
    config.postgres_url = server::Secret("host=/nowhere");
    CHECK(RunCommand(config, "new-epoch") == server::kExitFailed);
    CHECK_THAT(logged, Contains("the command failed") && Contains("new-epoch"));
  }
  SECTION("nobody knows the command") {
    CHECK(RunCommand(config, "frobnicate") == server::kExitFailed);
    CHECK_THAT(logged, Contains("'frobnicate' is none"));
  }
}

TEST_CASE_METHOD(Fixture, "a schema this build does not know is refused at start") {
  const auto set_version = [this](int version) {
    Number("WITH moved AS (UPDATE schema_migrations SET version = " + std::to_string(version) +
           " WHERE version = (SELECT max(version) FROM schema_migrations) RETURNING 1) "
           "SELECT count(*) FROM moved");
  };
  SECTION("it is newer") {
    set_version(kMaxSchema + 1);
    CHECK(Serve() == server::kExitFailed);
    CHECK_THAT(logged, Contains("of a newer release has run: deploy that release"));
  }
  SECTION("it was never made") {
    Number("WITH gone AS (DELETE FROM schema_migrations RETURNING 1) SELECT count(*) FROM gone");
    CHECK(Serve() == server::kExitFailed);
    CHECK_THAT(logged, Contains("run `coderd-api migrate` of this release"));
  }
}

TEST_CASE_METHOD(Fixture, "a database that cannot be reached is refused at start") {
  config.postgres_url = server::Secret("host=/nowhere dbname=coder password=hunter2");
  CHECK(Serve() == server::kExitFailed);
  CHECK_THAT(logged,
             Contains("\"part\":\"schema-check\"") &&
                 Contains("check the database's schema version: connect to the database: ") &&
                 Contains("check the address, the credentials and that the server accepts "
                          "connections"));
  CHECK_THAT(logged, !Contains("hunter2"));
}

TEST_CASE_METHOD(Fixture, "what cannot be served is said before anything starts") {
  SECTION("no database") {
    config.postgres_url = server::Secret();
    const auto app = App::Create(config, server::CommandLine(), clock);
    CHECK_THAT(std::string(app.status().message()), Contains("option postgres-url is not set"));
  }
  SECTION("no keyring") {
    config.keyring = server::Secret("k1 not-a-key");
    const auto app = App::Create(config, server::CommandLine(), clock);
    CHECK_THAT(std::string(app.status().message()), Contains("read keyring"));
    CHECK_THAT(std::string(app.status().message()), !Contains("not-a-key"));
  }
}

}  // namespace
}  // namespace coder::api
