#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "libs/clock/deadline.h"
#include "libs/events/pack.h"
#include "libs/fanout/fake_log.h"
#include "libs/pg/transaction.h"
#include "libs/storage/postgres/event_log_epoch.h"
#include "libs/storage/postgres/pg_event_log.h"
#include "libs/storage/postgres/pg_sequencer.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

clock::Deadline Soon() { return clock::Deadline::After(absl::Minutes(1)); }

pg::ConnectOptions As(const MigratedDatabase& database, const std::string& role) {
  return {.conninfo = database.conninfo() + " options='-c role=" + role + "'",
          .application_name = "test",
          .statement_timeout = absl::Minutes(1),
          .lock_timeout = absl::Seconds(30)};
}

// A database with twenty rows that writers lock as they would lock workspaces.
struct World {
  MigratedDatabase database{40};
  PgSequencer sequencer{As(database, "coder_relay")};
  pg::Pool api_pool{{.connect = As(database, "coder_api"), .max_connections = 2}};
  PgEventLog log{api_pool};
  int64_t session = 0;

  World() {
    Run("CREATE TABLE hot (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 0)");
    Run("INSERT INTO hot SELECT generate_series(0, 19)");
    const auto opened = sequencer.Session();
    REQUIRE_THAT(opened, IsOk());
    session = *opened;
  }

  pg::Result Run(const std::string& sql, std::vector<pg::Param> params = {}) {
    auto result = database.pool().Execute(sql, std::move(params), Soon());
    if (!result.ok()) throw std::runtime_error(result.status().ToString());
    return *std::move(result);
  }

  Sequenced Sequence(int64_t max_events = 2048) {
    auto sequenced = sequencer.Sequence(session, max_events, 0);
    REQUIRE_THAT(sequenced, IsOk());
    return *std::move(sequenced);
  }

  void AddRaw(const std::string& payload) {
    Run("INSERT INTO outbox (workspace_id, workspace_version, payload) "
        "VALUES ('00000000-0000-0000-0000-000000000001', 1, $1)",
        {pg::Bytea{payload}});
  }

  std::vector<events::EventSlice> ReadAll(std::vector<std::shared_ptr<const events::Pack>>& keep) {
    std::vector<events::EventSlice> slices;
    for (;;) {
      const auto after = static_cast<int64_t>(slices.size());
      auto packs = log.Read(after, 1'000'000, 1000);
      REQUIRE_THAT(packs, IsOk());
      if (packs->empty()) return slices;
      for (auto& pack : *packs) {
        REQUIRE(pack->first_position() == static_cast<int64_t>(slices.size()) + 1);
        slices.insert(slices.end(), pack->events().begin(), pack->events().end());
        keep.push_back(std::move(pack));
      }
    }
  }
};

std::string Framed(int workspace, int64_t version) {
  std::string framed;
  events::AppendFramed(
      fanout::EventBytes("org", "owner", "ws-" + std::to_string(workspace), version), framed);
  return framed;
}

// Locks the workspace, bumps its version, draws the id: what every writer does.
absl::Status WriteOne(pg::Pool& pool, int workspace) {
  return pg::RunInTransaction(pool, {.deadline = Soon()}, [&](pg::Transaction& tx) -> absl::Status {
    auto bumped = tx.Execute(
        "UPDATE hot SET version = version + 1 WHERE id = $1::int RETURNING version", {workspace});
    if (!bumped.ok()) return bumped.status();
    const auto version = (*bumped)[0].Get<int64_t>(0);
    return tx
        .Execute(
            "INSERT INTO outbox (workspace_id, workspace_version, payload) "
            "VALUES (gen_random_uuid(), $1, $2)",
            {version, pg::Bytea{Framed(workspace, version)}})
        .status();
  });
}

TEST_CASE("many writers and four sequencers lose, double and swap nothing") {
  World world;
  constexpr int kWriters = 16;
  constexpr int kEach = 300;
  std::atomic<int> writing = kWriters;
  std::atomic<int> failures = 0;
  std::vector<std::jthread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < kEach; ++i) {
        if (!WriteOne(world.database.pool(), (writer * 7 + i * 3) % 20).ok()) ++failures;
      }
      --writing;
    });
  }
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      PgSequencer own(As(world.database, "coder_relay"));
      const auto session = own.Session();
      if (!session.ok()) ++failures;
      bool last_look = false;
      while (session.ok() && failures == 0) {
        const bool done = writing == 0;
        const auto moved = own.Sequence(*session, 50, 0);
        if (!moved.ok()) ++failures;
        if (last_look && moved.ok() && moved->events == 0) return;
        last_look = done;
      }
    });
  }
  threads.clear();
  REQUIRE(failures == 0);
  while (world.Sequence().events > 0) {
  }

  std::vector<std::shared_ptr<const events::Pack>> keep;
  const auto slices = world.ReadAll(keep);
  CHECK(slices.size() == kWriters * kEach);
  std::map<std::string, int64_t> versions;
  int out_of_order = 0;
  for (const events::EventSlice& slice : slices) {
    REQUIRE(slice.readable);
    int64_t& version = versions[std::string(slice.keys.workspace_id)];
    if (slice.keys.workspace_version != version + 1) ++out_of_order;
    version = slice.keys.workspace_version;
  }
  CHECK(out_of_order == 0);
  CHECK(versions.size() == 20);
  CHECK(world.log.Bounds()->head == kWriters * kEach);
  CHECK(world.Run("SELECT 1 FROM outbox").empty());
}

TEST_CASE("nobody chooses an event's place: the table gives the ids") {
  World world;
  auto owner = pg::Connection::Open({.conninfo = world.database.conninfo()});
  REQUIRE_THAT(owner, IsOk());
  CHECK_FALSE(
      (*owner)
          ->ExecuteScript("INSERT INTO outbox (id, workspace_id, workspace_version, payload) "
                          "VALUES (1000000, gen_random_uuid(), 1, 'far')",
                          Soon())
          .ok());
  world.AddRaw(Framed(1, 1));
  CHECK(world.Sequence().head == 1);
}

TEST_CASE("a foreign snapshot that keeps dead rows does not make a pass look at them") {
  World world;
  world.Run("ALTER TABLE outbox SET (autovacuum_enabled = false)");
  auto foreign = pg::Connection::Open(
      {.conninfo = world.database.conninfo(), .idle_in_transaction_timeout = absl::ZeroDuration()});
  REQUIRE_THAT(foreign, IsOk());
  REQUIRE_THAT((*foreign)->ExecuteScript(
                   "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox", Soon()),
               IsOk());
  world.Run(
      "INSERT INTO outbox (workspace_id, workspace_version, payload) "
      "SELECT gen_random_uuid(), n, $1 FROM generate_series(1, 30000) n",
      {pg::Bytea{Framed(1, 1)}});
  // A session's statistics reach the views when it ends.
  const auto move_all = [&] {
    PgSequencer own(As(world.database, "coder_relay"));
    const auto session = own.Session();
    REQUIRE_THAT(session, IsOk());
    int64_t events = 0;
    for (;;) {
      const auto moved = own.Sequence(*session, 4096, 0);
      REQUIRE_THAT(moved, IsOk());
      if (moved->events == 0) return events;
      events += moved->events;
    }
  };
  CHECK(move_all() == 30'000);
  const auto looked_at = [&] {
    return world
        .Run(
            "SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes "
            "WHERE relname = 'outbox'")[0]
        .Get<int64_t>(0);
  };
  const clock::Deadline patience = Soon();
  while (looked_at() < 30'000 && !patience.Expired()) {
  }
  const int64_t before = looked_at();
  REQUIRE_THAT(WriteOne(world.database.pool(), 5), IsOk());
  CHECK(move_all() == 1);
  while (looked_at() == before && !patience.Expired()) {
  }
  CHECK(looked_at() > before);
  CHECK(looked_at() - before < 1000);
}

TEST_CASE("a damaged row keeps its position and takes no neighbour down") {
  World world;
  world.AddRaw(Framed(1, 1));
  world.AddRaw("\x0a\x05nonsense that is longer than it says");
  world.AddRaw("x");
  world.AddRaw(Framed(1, 2));
  CHECK(world.Sequence().events == 4);
  std::vector<std::shared_ptr<const events::Pack>> keep;
  const auto slices = world.ReadAll(keep);
  REQUIRE(slices.size() == 4);
  CHECK(slices[0].readable);
  CHECK_FALSE(slices[1].readable);
  CHECK_FALSE(slices[2].readable);
  CHECK(slices[3].keys.workspace_version == 2);
}

TEST_CASE("a pack holds 64 events at most and fits a message of the stream") {
  World world;
  for (int i = 1; i <= 130; ++i) world.AddRaw(Framed(1, i));
  const Sequenced small = world.Sequence();
  REQUIRE(small.packs.size() == 3);
  CHECK(small.packs[2].last_position == 130);
  CHECK(small.head == 130);
  std::string large;
  events::AppendFramed(std::string(16'000, 'x'), large);
  for (int i = 0; i < 64; ++i) world.AddRaw(large);
  for (const StoredPack& pack : world.Sequence().packs) CHECK(pack.payload.size() < 600'000);
}

TEST_CASE("a step is bounded, and an ended session cannot sequence") {
  World world;
  for (int i = 1; i <= 10; ++i) world.AddRaw(Framed(1, i));
  CHECK(world.Sequence(4).events == 4);
  CHECK(world.sequencer.ReadOutboxStats()->rows == 6);
  world.Run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE pid <> pg_backend_pid() AND datname = current_database()");
  while (world.sequencer.Sequence(world.session, 4, 0).ok()) {
  }
  const auto session = world.sequencer.Session();
  REQUIRE_THAT(session, IsOk());
  CHECK(*session != world.session);
  const auto is_over = StatusIs(absl::StatusCode::kFailedPrecondition, "is over");
  CHECK_THAT(world.sequencer.Sequence(world.session, 4, 0), is_over);
  CHECK_THAT(world.sequencer.ReadCursor(world.session), is_over);
  CHECK_THAT(world.sequencer.ReadPacks(world.session, 0, 4), is_over);
  CHECK_THAT(world.sequencer.BeginEpoch(world.session, 1, 2), is_over);
  CHECK(world.log.Bounds()->epoch == 1);
  CHECK(world.sequencer.Sequence(*session, 100, 7)->head == 10);
  CHECK(world.sequencer.ReadCursor(*session)->confirmed_position == 7);
}

TEST_CASE("an epoch begins once, and packs are read with the current one") {
  World world;
  world.AddRaw(Framed(1, 1));
  world.Sequence();
  const int64_t epoch = *world.sequencer.BeginEpoch(world.session, 1, 5);
  CHECK(epoch > 5);
  CHECK(*world.sequencer.BeginEpoch(world.session, 1, epoch + 1) == epoch);
  CHECK(world.log.Bounds()->epoch == epoch);
  CHECK((*world.log.Read(0, 1, 1))[0]->epoch() == epoch);
  CHECK(*world.sequencer.BeginEpoch(world.session, epoch, epoch + 7) == epoch + 7);
}

TEST_CASE("a database that was set back begins no epoch anew that was begun before") {
  World world;
  const auto now = [&] {
    return world.Run("SELECT extract(epoch FROM clock_timestamp())::bigint").Get<int64_t>(0, 0);
  };
  const int64_t undone = *world.sequencer.BeginEpoch(world.session, 1, 2);
  world.Run("UPDATE relay_cursor SET epoch = 1");
  while (now() == undone) {
  }
  CHECK(*BumpEpoch(world.database.pool(), Soon()) > undone);
}

TEST_CASE("partitions are made ahead, and dropped below what is kept and confirmed") {
  World world;
  CHECK(*world.sequencer.EnsurePartitions(3) == 1);
  CHECK(*world.sequencer.EnsurePartitions(3) == 0);
  world.AddRaw(Framed(1, 1));
  world.Sequence();
  world.Run("UPDATE relay_cursor SET head = 2500000");
  world.AddRaw(Framed(1, 2));
  CHECK(world.Sequence().head == 2'500'001);
  CHECK(*world.sequencer.DropPartitions(2'400'000) == 1);
  REQUIRE_THAT(world.sequencer.Sequence(world.session, 1, 2'500'001), IsOk());
  CHECK(*world.sequencer.DropPartitions(2'400'000) == 2'000'000);
  CHECK_THAT(world.log.Read(0, 10, 10), StatusIs(absl::StatusCode::kOutOfRange, "2000000"));
  CHECK((*world.log.Read(2'500'000, 2'500'001, 10)).size() == 1);
}

TEST_CASE("the log is found by time, and the snapshot's wait ends with the outbox") {
  World world;
  const auto now = [&] { return *world.sequencer.DatabaseNow(); };
  const absl::Time start = now();
  for (int i = 1; i <= 5; ++i) world.AddRaw(Framed(1, i));
  world.Sequence();
  const absl::Time middle = now();
  world.AddRaw(Framed(1, 6));
  const auto highest = world.log.HighestOutboxId();
  REQUIRE_THAT(highest, IsOk());
  CHECK_FALSE(world.log.BoundsPast(*highest)->has_value());
  world.Sequence();
  CHECK((*world.log.BoundsPast(*highest))->head == 6);
  CHECK(*world.log.PositionBefore(start) == 0);
  CHECK(*world.log.PositionBefore(middle) == 5);
  CHECK(*world.log.PositionBefore(now()) == 6);
  CHECK(*world.sequencer.PositionBefore(middle) == 5);
}

}  // namespace
}  // namespace coder::storage
