#include <catch2/catch.hpp>
#include <string>

#include "libs/storage/postgres/pg_expiry_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;

clock::Deadline Soon() { return clock::Deadline::After(absl::Seconds(20)); }

struct Fixture {
  MigratedDatabase database;
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  PgExpiryStore store{pool};

  void Run(const std::string& sql) {
    REQUIRE_THAT(database.pool().Execute(sql, {}, Soon()), IsOk());
  }

  int64_t Count(const std::string& table) {
    return database.pool()
        .Execute("SELECT count(*) FROM " + table, {}, Soon())
        .value()
        .Get<int64_t>(0, 0);
  }

  void AddRequest(const std::string& age) {
    Run("INSERT INTO idempotent_requests (caller, method, request_id, request_hash, response, "
        "created_at) "
        "VALUES ('alice', 'Create', gen_random_uuid(), sha256('x'), 'answer', now() - interval '" +
        age + "')");
  }

  void AddKey(const std::string& id, const std::string& expired, const std::string& revoked) {
    Run("INSERT INTO api_keys (id, hashed_secret, user_id, kind, lifetime, expires_at, revoked_at) "
        "SELECT '" +
        id + "', sha256('x'), id, 'session', '1 day', now() - interval '" + expired + "', " +
        revoked + " FROM users LIMIT 1");
  }
};

TEST_CASE("answers are kept for a day") {
  Fixture fixture;
  fixture.AddRequest("23 hours 59 minutes");
  fixture.AddRequest("24 hours 1 minute");
  const auto dropped = fixture.store.DropExpired(100, Soon());
  REQUIRE_THAT(dropped, IsOk());
  CHECK(*dropped == 1);
  CHECK(fixture.Count("idempotent_requests") == 1);
}

TEST_CASE("sessions and tokens are forgotten thirty days after their end") {
  Fixture fixture;
  fixture.AddKey("0123456701", "-1 day", "NULL");
  fixture.AddKey("0123456702", "29 days", "NULL");
  fixture.AddKey("0123456703", "31 days", "NULL");
  fixture.AddKey("0123456704", "-1 day", "now() - interval '31 days'");
  fixture.AddKey("0123456705", "-1 day", "now() - interval '1 day'");
  const int64_t before = fixture.Count("api_keys");
  const auto dropped = fixture.store.DropExpired(100, Soon());
  REQUIRE_THAT(dropped, IsOk());
  CHECK(*dropped == 2);
  CHECK(fixture.Count("api_keys") == before - 2);
}

TEST_CASE("outcomes are kept for ninety days, and the newest autostart's for good") {
  Fixture fixture;
  const std::string workspace = fixture.world.AddWorkspace("dev").ToString();
  const auto add = [&](const char* kind, int days) {
    fixture.world.Run(
        "INSERT INTO lifecycle_outcomes (workspace_id, kind, nominal_at, outcome, decided_at) "
        "SELECT $1, $2, at, 'applied', at FROM (SELECT now() - $3 * interval '1 day' AS at) t",
        {workspace, kind, days});
  };
  add("autostart", 93);
  add("autostart", 92);
  add("autostop", 91);
  add("autostop", 89);
  CHECK(fixture.store.DropExpired(100, Soon()).value() == 2);
  CHECK(fixture.Count("lifecycle_outcomes WHERE kind = 'autostart' AND decided_at > now() - "
                      "interval '92 days 1 hour'") == 1);
  CHECK(fixture.Count("lifecycle_outcomes WHERE kind = 'autostop'") == 1);
  add("autostart", 1);
  CHECK(fixture.store.DropExpired(100, Soon()).value() == 1);
}

TEST_CASE("a pass is bounded") {
  Fixture fixture;
  for (int i = 0; i < 5; ++i) fixture.AddRequest("2 days");
  CHECK(fixture.store.DropExpired(3, Soon()).value() == 3);
  CHECK(fixture.store.DropExpired(3, Soon()).value() == 2);
  CHECK(fixture.store.DropExpired(3, Soon()).value() == 0);
}

}  // namespace
}  // namespace coder::storage
