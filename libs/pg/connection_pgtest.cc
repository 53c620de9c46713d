#include <catch2/catch.hpp>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/pg/connection.h"
#include "libs/pg/sqlstate.h"
#include "libs/testing/matchers.h"
#include "libs/testing/postgres_server.h"

namespace coder::pg {
namespace {

using clock::Deadline;
using testing::IsOk;
using testing::PostgresServer;
using testing::StatusIs;

const Deadline kAmple = Deadline::After(absl::Minutes(4));

std::unique_ptr<Connection> Open(const ConnectOptions& extra = {}) {
  static const std::string* const database =
      new std::string(PostgresServer::Shared().CreateDatabase());
  ConnectOptions options = extra;
  options.conninfo = PostgresServer::Shared().Conninfo(*database);
  return Connection::Open(options).value();
}

// Sends a value, which the server casts to `type`, and reads it back.
template <typename T>
T RoundTrip(Connection& connection, const T& value, const std::string& type) {
  return connection.Execute(absl::StrCat("SELECT $1::", type, " AS it"), {value}, kAmple)
      .value()
      .template Get<T>(0, "it");
}

TEST_CASE("scalars come back as they were sent") {
  const auto connection = Open();
  Connection& c = *connection;
  CHECK(RoundTrip(c, true, "boolean"));
  CHECK_FALSE(RoundTrip(c, false, "boolean"));
  CHECK(RoundTrip(c, std::numeric_limits<int32_t>::min(), "int4") ==
        std::numeric_limits<int32_t>::min());
  CHECK(RoundTrip(c, std::numeric_limits<int64_t>::max(), "int8") ==
        std::numeric_limits<int64_t>::max());
  CHECK(RoundTrip(c, 0.1, "float8") == 0.1);
  CHECK(RoundTrip(c, -std::numeric_limits<double>::infinity(), "float8") ==
        -std::numeric_limits<double>::infinity());
  CHECK(RoundTrip(c, std::string("zwölf \"'\\ {}"), "text") == "zwölf \"'\\ {}");
  CHECK(RoundTrip(c, std::string(), "text").empty());
  CHECK(RoundTrip(c, std::string("00112233-4455-6677-8899-aabbccddeeff"), "uuid") ==
        "00112233-4455-6677-8899-aabbccddeeff");
  CHECK(RoundTrip(c, std::string("{\"a\": 1}"), "jsonb") == "{\"a\": 1}");
}

TEST_CASE("bytes may be any, zero too") {
  const auto connection = Open();
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  CHECK(RoundTrip(*connection, Bytea{all}, "bytea").bytes == all);
  CHECK(RoundTrip(*connection, Bytea{}, "bytea").bytes.empty());
}

TEST_CASE("times are exact to the microsecond") {
  const auto connection = Open();
  Connection& c = *connection;
  const absl::Time times[] = {
      absl::FromUnixMicros(1'700'000'000'123'456), absl::FromUnixMicros(-1), absl::UnixEpoch(),
      absl::FromUnixSeconds(253'402'300'799),      absl::InfiniteFuture(),   absl::InfinitePast()};
  for (const absl::Time time : times) CHECK(RoundTrip(c, time, "timestamptz") == time);
  const absl::Duration durations[] = {absl::ZeroDuration(), absl::Microseconds(-1),
                                      absl::Hours(1000) + absl::Microseconds(59'000'001),
                                      -absl::Hours(30) - absl::Milliseconds(1)};
  for (const absl::Duration d : durations) CHECK(RoundTrip(c, d, "interval") == d);
  CHECK(c.Execute("SELECT interval '2 days 1 second'", {}, kAmple)
            .value()
            .Get<absl::Duration>(0, 0) == absl::Hours(48) + absl::Seconds(1));
}

TEST_CASE("NULL is an empty optional") {
  const auto connection = Open();
  const Result result =
      connection
          ->Execute("SELECT $1::text, $2::int8, $3::bytea, 7",
                    {std::nullopt, std::optional<int64_t>(), std::optional<Bytea>()}, kAmple)
          .value();
  CHECK_FALSE(result.Get<std::optional<std::string>>(0, 0));
  CHECK_FALSE(result.Get<std::optional<int64_t>>(0, 1));
  CHECK_FALSE(result.Get<std::optional<Bytea>>(0, 2));
  CHECK(result.Get<std::optional<int32_t>>(0, 3) == 7);
}

TEST_CASE("arrays come back as they were sent") {
  const auto connection = Open();
  Connection& c = *connection;
  using Texts = std::vector<std::string>;
  using MaybeTexts = std::vector<std::optional<std::string>>;
  const Texts texts = {"", "NULL", "a,b", "\"quoted\" \\ {x}", " "};
  CHECK(RoundTrip(c, texts, "text[]") == texts);
  CHECK(RoundTrip(c, Texts(), "text[]").empty());
  const MaybeTexts maybe = {"x", std::nullopt, ""};
  CHECK(RoundTrip(c, maybe, "text[]") == maybe);
  const std::vector<int64_t> numbers = {-1, 0, std::numeric_limits<int64_t>::max()};
  CHECK(RoundTrip(c, numbers, "int8[]") == numbers);
  const Texts uuids = {"00112233-4455-6677-8899-aabbccddeeff"};
  CHECK(RoundTrip(c, uuids, "uuid[]") == uuids);
  const std::vector<Bytea> blobs = {{std::string("\0\\\"x", 4)}, {""}};
  CHECK(RoundTrip(c, blobs, "bytea[]") == blobs);
  const std::vector<absl::Time> times = {absl::FromUnixMicros(1), absl::InfiniteFuture()};
  CHECK(RoundTrip(c, times, "timestamptz[]") == times);
}

TEST_CASE("text with a zero byte is refused and nothing is sent") {
  const auto connection = Open();
  CHECK_THAT(connection->Execute("SELECT $1::text", {std::string("a\0b", 3)}, kAmple),
             StatusIs(absl::StatusCode::kInvalidArgument, "zero byte"));
  CHECK(connection->reusable());
}

TEST_CASE("rows can be walked and counted") {
  const auto connection = Open();
  const Result result =
      connection->Execute("SELECT n FROM generate_series(1, 3) AS n", {}, kAmple).value();
  int sum = 0;
  for (const Result::Row row : result) sum += row.Get<int32_t>("n");
  CHECK(sum == 6);
  CHECK(result.affected() == 3);
}

TEST_CASE("a constraint is named in the status") {
  const auto connection = Open();
  REQUIRE_THAT(connection->ExecuteScript("DROP TABLE IF EXISTS k; CREATE TABLE k (id int "
                                         "CONSTRAINT k_key PRIMARY KEY)",
                                         kAmple),
               IsOk());
  REQUIRE_THAT(connection->Execute("INSERT INTO k VALUES ($1)", {1}, kAmple), IsOk());
  const absl::Status twice = connection->Execute("INSERT INTO k VALUES ($1)", {1}, kAmple).status();
  CHECK_THAT(twice, StatusIs(absl::StatusCode::kAlreadyExists));
  CHECK(ConstraintName(twice) == "k_key");
}

TEST_CASE("a thousand statements with a failing one in the middle leave nothing behind") {
  const auto connection = Open();
  REQUIRE_THAT(connection->ExecuteScript(
                   "DROP TABLE IF EXISTS m; CREATE TABLE m (id int PRIMARY KEY, pad text)", kAmple),
               IsOk());
  // The padding and its echo exceed what the socket's buffers of both sides can hold.
  const std::string pad(4000, 'x');
  Pipeline good;
  Pipeline bad;
  for (int i = 0; i < 1000; ++i) {
    good.Add("INSERT INTO m VALUES ($1, $2) RETURNING pad", {i, pad});
    bad.Add("INSERT INTO m VALUES ($1, $2) RETURNING pad", {i == 501 ? 500 : i, pad});
  }
  CHECK_THAT(connection->Execute(bad, kAmple), StatusIs(absl::StatusCode::kAlreadyExists));
  CHECK(connection->Execute("SELECT count(*) FROM m", {}, kAmple).value().Get<int64_t>(0, 0) == 0);
  const auto results = connection->Execute(good, kAmple);
  REQUIRE_THAT(results, IsOk());
  REQUIRE(results->size() == 1000);
  CHECK(results->back().Get<std::string>(0, 0) == pad);
  CHECK(connection->reusable());
}

TEST_CASE("a statement that does not parse does not spoil the session") {
  const auto connection = Open();
  CHECK_THAT(connection->Execute("SELEC 1", {}, kAmple), StatusIs(absl::StatusCode::kInternal));
  CHECK_THAT(connection->Execute("SELEC 1", {}, kAmple), StatusIs(absl::StatusCode::kInternal));
  CHECK(connection->Execute("SELECT 1", {}, kAmple).value().Get<int32_t>(0, 0) == 1);
}

TEST_CASE("the session's statement timeout ends a long statement") {
  const auto connection = Open({.statement_timeout = absl::Milliseconds(30)});
  CHECK_THAT(connection->Execute("SELECT pg_sleep(100)", {}, kAmple),
             StatusIs(absl::StatusCode::kDeadlineExceeded));
  CHECK(connection->reusable());
}

TEST_CASE("a deadline nearer than the statement timeout ends a long statement at the server") {
  const auto connection = Open({.statement_timeout = absl::Hours(1)});
  CHECK_THAT(
      connection->Execute("SELECT pg_sleep(100)", {}, Deadline::After(absl::Milliseconds(30))),
      StatusIs(absl::StatusCode::kDeadlineExceeded, "57014"));
  const Result setting = connection->Execute("SHOW statement_timeout", {}, kAmple).value();
  CHECK(setting.Get<std::string>(0, 0) != "30ms");
}

TEST_CASE("a deadline passing between the statements of a batch cancels what is running") {
  // Each statement is within the server's limit; together they are not within the deadline.
  const auto connection = Open({.statement_timeout = absl::Milliseconds(400)});
  Pipeline batch;
  for (int i = 0; i < 100; ++i) batch.Add("SELECT pg_sleep(0.3)");
  CHECK_THAT(connection->Execute(batch, Deadline::After(absl::Milliseconds(500))),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "57014"));
  CHECK_FALSE(connection->reusable());
}

TEST_CASE("a passed deadline sends nothing") {
  const auto connection = Open();
  CHECK_THAT(connection->Execute("SELECT 1", {}, Deadline::After(absl::ZeroDuration())),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "before it was sent"));
  CHECK(connection->reusable());
}

TEST_CASE("a session ended by the server says so") {
  const auto victim = Open();
  const auto killer = Open();
  REQUIRE(victim->AliveWhenIdle());
  REQUIRE_THAT(
      killer->Execute("SELECT pg_terminate_backend($1, 10000)", {victim->backend_pid()}, kAmple),
      IsOk());
  CHECK_FALSE(victim->AliveWhenIdle());
  CHECK_THAT(victim->Execute("SELECT 1", {}, kAmple), StatusIs(absl::StatusCode::kUnavailable));
  CHECK_FALSE(victim->reusable());
}

TEST_CASE("a statement keeps its plan, unless it is to be planned each time") {
  const auto connection = Open();
  const std::string text = "SELECT count(*) FROM unnest($1::int[])";
  const auto kept = [&] {
    return connection
        ->Execute("SELECT count(*) FROM pg_prepared_statements WHERE statement = $1", {text},
                  kAmple)
        .value()
        .Get<int64_t>(0, 0);
  };
  const std::vector<int32_t> three = {1, 2, 3};
  const auto run = [&](Plan plan) {
    return connection->Execute(Pipeline().Add(text, {three}, plan), kAmple)
        .value()[0]
        .Get<int64_t>(0, 0);
  };
  CHECK(run(Plan::kFresh) == 3);
  CHECK(kept() == 0);
  CHECK(run(Plan::kKept) == 3);
  CHECK(kept() == 1);
  CHECK(run(Plan::kFresh) == 3);
}

TEST_CASE("a plan made stale by a migration ends the session's use") {
  const auto connection = Open();
  REQUIRE_THAT(connection->ExecuteScript("DROP TABLE IF EXISTS s; CREATE TABLE s (a int)", kAmple),
               IsOk());
  REQUIRE_THAT(connection->Execute("SELECT * FROM s", {}, kAmple), IsOk());
  REQUIRE_THAT(connection->ExecuteScript("ALTER TABLE s ADD COLUMN b int", kAmple), IsOk());
  const absl::Status stale = connection->Execute("SELECT * FROM s", {}, kAmple).status();
  CHECK(IsTransactionConflict(stale));
  CHECK_FALSE(connection->reusable());
}

TEST_CASE("session settings and those of the address hold together") {
  const std::string conninfo =
      absl::StrCat(PostgresServer::Shared().Conninfo("template1"), " options='-c work_mem=1MB'");
  const auto connection =
      Connection::Open({.conninfo = conninfo, .application_name = "coderd-api"}).value();
  const auto setting = [&](const std::string& name) {
    return connection->Execute("SELECT current_setting($1)", {name}, kAmple)
        .value()
        .Get<std::string>(0, 0);
  };
  CHECK(setting("statement_timeout") == "5s");
  CHECK(setting("lock_timeout") == "1s");
  CHECK(setting("idle_in_transaction_session_timeout") == "10s");
  CHECK(setting("application_name") == "coderd-api");
  CHECK(setting("work_mem") == "1MB");
}

TEST_CASE("an address nobody answers at, and one that is none") {
  CHECK_THAT(Connection::Open({.conninfo = "host=/nonexistent dbname=x"}),
             StatusIs(absl::StatusCode::kUnavailable, "connect to the database"));
  CHECK_THAT(Connection::Open({.conninfo = "nonsense"}),
             StatusIs(absl::StatusCode::kInvalidArgument, "key=value"));
}

}  // namespace
}  // namespace coder::pg
