#include <barrier>
#include <catch2/catch.hpp>
#include <thread>

#include "libs/pg/sqlstate.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/testing/matchers.h"
#include "libs/testing/postgres_server.h"

namespace coder::pg {
namespace {

using clock::Deadline;
using testing::IsOk;
using testing::PostgresServer;
using testing::StatusIs;

Deadline Ample() { return Deadline::After(absl::Minutes(1)); }

// A database with two rows {1, 0} and {2, 0} in table t, and a pool on it.
struct Fixture {
  Fixture() {
    REQUIRE_THAT(pool.Execute("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL)", {}, Ample()),
                 IsOk());
    REQUIRE_THAT(pool.Execute("INSERT INTO t VALUES (1, 0), (2, 0)", {}, Ample()), IsOk());
  }

  int ValueOf(int id) {
    return pool.Execute("SELECT v FROM t WHERE id = $1", {id}, Ample()).value().Get<int32_t>(0, 0);
  }

  Pool pool{{.connect = {.conninfo = PostgresServer::Shared().Conninfo(
                             PostgresServer::Shared().CreateDatabase())},
             .max_connections = 4}};
};

absl::Status Bump(Transaction& transaction, int id) {
  return transaction.Execute("UPDATE t SET v = v + 1 WHERE id = $1", {id}).status();
}

TEST_CASE("a transaction commits what its body did, and returns its value") {
  Fixture f;
  const absl::StatusOr<int> value = RunInTransaction(
      f.pool, {.deadline = Ample()}, [](Transaction& transaction) -> absl::StatusOr<int> {
        RETURN_IF_ERROR(Bump(transaction, 1));
        ASSIGN_OR_RETURN(const Result row, transaction.Execute("SELECT v FROM t WHERE id = 1"));
        return row.Get<int32_t>(0, 0);
      });
  REQUIRE_THAT(value, IsOk());
  CHECK(*value == 1);
  CHECK(f.ValueOf(1) == 1);
}

TEST_CASE("a body that fails leaves nothing behind, and its session stays in use") {
  Fixture f;
  const absl::Status failed =
      RunInTransaction(f.pool, {.deadline = Ample()}, [](Transaction& transaction) {
        RETURN_IF_ERROR(Bump(transaction, 1));
        return absl::FailedPreconditionError("changed its mind");
      });
  CHECK_THAT(failed, StatusIs(absl::StatusCode::kFailedPrecondition, "changed its mind"));
  CHECK(f.ValueOf(1) == 0);
  CHECK(f.pool.Stats().opened == 1);
}

TEST_CASE("a batch within a transaction shares its fate") {
  Fixture f;
  const absl::Status status =
      RunInTransaction(f.pool, {.deadline = Ample()}, [](Transaction& transaction) {
        Pipeline batch;
        batch.Add("UPDATE t SET v = 5 WHERE id = $1 RETURNING v", {1});
        batch.Add("UPDATE t SET v = 6 WHERE id = $1 RETURNING v", {2});
        const auto results = transaction.Execute(batch);
        REQUIRE_THAT(results, IsOk());
        REQUIRE(results->size() == 2);
        CHECK((*results)[1].Get<int32_t>(0, 0) == 6);
        return results.status();
      });
  CHECK_THAT(status, IsOk());
  CHECK(f.ValueOf(2) == 6);
}

TEST_CASE("two transactions in a deadlock both get through, one of them at its second run") {
  Fixture f;
  std::barrier both_hold_one(2);
  std::atomic<int> runs = 0;
  const auto update_in_order = [&](int first, int second) {
    bool waited = false;
    return RunInTransaction(f.pool, {.deadline = Ample()},
                            [&](Transaction& transaction) -> absl::Status {
                              ++runs;
                              RETURN_IF_ERROR(Bump(transaction, first));
                              if (!std::exchange(waited, true)) both_hold_one.arrive_and_wait();
                              return Bump(transaction, second);
                            });
  };
  absl::Status other;
  std::thread thread([&] { other = update_in_order(2, 1); });
  const absl::Status mine = update_in_order(1, 2);
  thread.join();
  CHECK_THAT(mine, IsOk());
  CHECK_THAT(other, IsOk());
  CHECK(runs >= 3);
  CHECK(f.ValueOf(1) == 2);
  CHECK(f.ValueOf(2) == 2);
}

TEST_CASE("a body that always loses is given up after its attempts") {
  Fixture f;
  int runs = 0;
  const absl::Status lost = RunInTransaction(
      f.pool, {.deadline = Ample(), .max_attempts = 3}, [&](Transaction& transaction) {
        ++runs;
        return transaction
            .Execute("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$")
            .status();
      });
  CHECK_THAT(lost, StatusIs(absl::StatusCode::kAborted));
  CHECK(runs == 3);
}

TEST_CASE("a serialization failure at commit runs the body again") {
  Fixture f;
  int runs = 0;
  const absl::Status status = RunInTransaction(
      f.pool, {.deadline = Ample(), .isolation = Isolation::kRepeatableRead},
      [&](Transaction& transaction) -> absl::Status {
        RETURN_IF_ERROR(transaction.Execute("SELECT v FROM t").status());
        if (++runs == 1) {
          RETURN_IF_ERROR(f.pool.Execute("UPDATE t SET v = 10 WHERE id = 1", {}, Ample()).status());
        }
        return Bump(transaction, 1);
      });
  CHECK_THAT(status, IsOk());
  CHECK(runs == 2);
  CHECK(f.ValueOf(1) == 11);
}

TEST_CASE("a read-only transaction refuses to write") {
  Fixture f;
  CHECK_FALSE(RunInTransaction(f.pool, {.deadline = Ample(), .read_only = true},
                               [](Transaction& transaction) { return Bump(transaction, 1); })
                  .ok());
  CHECK(f.ValueOf(1) == 0);
}

TEST_CASE("a swallowed error does not commit") {
  Fixture f;
  const absl::Status status =
      RunInTransaction(f.pool, {.deadline = Ample()}, [](Transaction& transaction) {
        RETURN_IF_ERROR(Bump(transaction, 1));
        transaction.Execute("SELECT 1 / 0").IgnoreError();
        return absl::OkStatus();
      });
  CHECK_THAT(status, StatusIs(absl::StatusCode::kAborted, "rolled back"));
  CHECK(f.ValueOf(1) == 0);
}

TEST_CASE("a session lost before COMMIT is not a commit of unknown outcome") {
  Fixture f;
  const absl::Status status =
      RunInTransaction(f.pool, {.deadline = Ample()}, [](Transaction& transaction) -> absl::Status {
        RETURN_IF_ERROR(Bump(transaction, 1));
        transaction.Execute("SELECT pg_terminate_backend(pg_backend_pid())").IgnoreError();
        return absl::OkStatus();
      });
  CHECK_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
  CHECK(f.ValueOf(1) == 0);
}

TEST_CASE("a session lost during COMMIT leaves its outcome unknown and is not repeated") {
  Fixture f;
  // A deferred trigger runs inside COMMIT and ends its own session.
  const auto connection = f.pool.Acquire(Ample()).value();
  REQUIRE_THAT(connection->ExecuteScript(
                   "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                   "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); "
                   "RETURN NULL; END $$;"
                   "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED "
                   "FOR EACH ROW EXECUTE FUNCTION die()",
                   Ample()),
               IsOk());
  int runs = 0;
  const absl::Status status =
      RunInTransaction(f.pool, {.deadline = Ample()}, [&](Transaction& transaction) {
        ++runs;
        return Bump(transaction, 1);
      });
  CHECK_THAT(status, StatusIs(absl::StatusCode::kUnknown, "not known"));
  CHECK(status::HasInternalDetail(status));
  CHECK(runs == 1);
}

TEST_CASE("a transaction without statements costs no round trip") {
  Fixture f;
  auto connection = f.pool.Acquire(Ample()).value();
  const int pid = connection->backend_pid();
  REQUIRE_THAT(f.pool.Execute("SELECT pg_terminate_backend($1, 10000)", {pid}, Ample()), IsOk());
  Transaction transaction(*connection, {.deadline = Ample()});
  CHECK_THAT(transaction.Commit(), IsOk());
}

}  // namespace
}  // namespace coder::pg
