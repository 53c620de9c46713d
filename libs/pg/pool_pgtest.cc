#include <catch2/catch.hpp>
#include <thread>

#include "libs/pg/pool.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"
#include "libs/testing/postgres_server.h"

namespace coder::pg {
namespace {

using clock::Deadline;
using testing::IsOk;
using testing::PostgresServer;
using testing::StatusIs;

Deadline Ample() { return Deadline::After(absl::Minutes(1)); }

PoolOptions Options(int max_connections) {
  return {.connect = {.conninfo = PostgresServer::Shared().Conninfo("template1"),
                      .application_name = "pool test"},
          .max_connections = max_connections};
}

int PidOf(PooledConnection& connection) { return connection->backend_pid(); }

TEST_CASE("a session is lent again, not opened again") {
  Pool pool(Options(2));
  int first = 0;
  {
    auto connection = pool.Acquire(Ample()).value();
    first = PidOf(connection);
    CHECK(pool.Stats().in_use == 1);
  }
  CHECK(pool.Stats().idle == 1);
  auto again = pool.Acquire(Ample()).value();
  CHECK(PidOf(again) == first);
  const PoolStats stats = pool.Stats();
  CHECK(stats.opened == 1);
  CHECK(stats.acquired == 2);
  CHECK(stats.acquire_time > absl::ZeroDuration());
}

TEST_CASE("an exhausted pool makes callers wait until their deadline") {
  Pool pool(Options(1));
  const auto held = pool.Acquire(Ample()).value();
  CHECK_THAT(pool.Acquire(Deadline::After(absl::Milliseconds(20))),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "all 1 stayed in use"));
  CHECK(pool.Stats().waiting == 0);
}

TEST_CASE("a waiting caller gets the session that is given back") {
  Pool pool(Options(1));
  auto held = std::make_unique<PooledConnection>(pool.Acquire(Ample()).value());
  absl::Status waited = absl::UnknownError("did not run");
  std::thread waiter([&] { waited = pool.Acquire(Ample()).status(); });
  while (pool.Stats().waiting == 0) std::this_thread::yield();
  held.reset();
  waiter.join();
  CHECK_THAT(waited, IsOk());
  CHECK(pool.Stats().opened == 1);
}

TEST_CASE("more waiting callers than allowed are refused") {
  PoolOptions options = Options(1);
  options.max_waiting = 0;
  Pool pool(options);
  const auto held = pool.Acquire(Ample()).value();
  CHECK_THAT(pool.Acquire(Ample()), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_CASE("an idle session the server ended is replaced unnoticed") {
  Pool pool(Options(2));
  int victim = 0;
  {
    auto connection = pool.Acquire(Ample()).value();
    victim = PidOf(connection);
  }
  auto killer = Connection::Open(Options(1).connect).value();
  REQUIRE_THAT(killer->Execute("SELECT pg_terminate_backend($1, 10000)", {victim}, Ample()),
               IsOk());
  CHECK_THAT(pool.Execute("SELECT 1", {}, Ample()), IsOk());
  CHECK(pool.Stats().discarded == 1);
  CHECK(pool.Stats().opened == 2);
}

TEST_CASE("a session given back inside a transaction is not lent again") {
  Pool pool(Options(1));
  {
    auto connection = pool.Acquire(Ample()).value();
    REQUIRE_THAT(connection->Execute("BEGIN", {}, Ample()), IsOk());
  }
  CHECK(pool.Stats().idle == 0);
  CHECK(pool.Stats().discarded == 1);
}

TEST_CASE("an old session is closed when it is given back") {
  PoolOptions options = Options(1);
  options.max_lifetime = absl::ZeroDuration();
  Pool pool(options);
  CHECK_THAT(pool.Execute("SELECT 1", {}, Ample()), IsOk());
  CHECK(pool.Stats().idle == 0);
  CHECK(pool.Stats().discarded == 0);
}

TEST_CASE("a database that is away is not stormed, and is found again when it is back") {
  PostgresServer server;
  PoolOptions options = Options(4);
  options.connect.conninfo = server.Conninfo("template1");
  options.min_backoff = absl::Milliseconds(500);
  Pool pool(options);
  REQUIRE_THAT(pool.Execute("SELECT 1", {}, Ample()), IsOk());
  server.StopImmediately();
  CHECK_THAT(pool.Execute("SELECT 1", {}, Ample()), StatusIs(absl::StatusCode::kUnavailable));
  const auto refused = pool.Acquire(Ample());
  CHECK_THAT(refused, StatusIs(absl::StatusCode::kUnavailable, "the last attempt failed"));
  CHECK(status::RetryAfterOf(refused.status()).has_value());
  CHECK(pool.Stats().connect_failures == 1);
  server.Start();
  while (!pool.Execute("SELECT 1", {}, Ample()).ok()) std::this_thread::yield();
  CHECK(pool.Stats().in_use == 0);
}

}  // namespace
}  // namespace coder::pg
