#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/coderd-api/watch_service_fixture.h"

namespace coder::api {
namespace {

using Fixture = WatchServiceFixture;

constexpr int kWorkspaces = 450;  // three pages, each larger than what a connection holds unread

// Workspaces with a build each, as a few statements; every id is of the workspace, the job and the
// build in one.
std::vector<lifecycle::BuildId> AddMany(Fixture& f, int count) {
  f.world.Run(
      "WITH w AS (INSERT INTO workspaces (id, owner_id, organization_id, template_id, name, "
      "event_version) SELECT gen_random_uuid(), $1, $2, $3, 'bulk-' || n, 1 FROM "
      "generate_series(1, $7::int) n RETURNING id), "
      "j AS (INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, "
      "file_id, tags, queue_at, completed_at, error) SELECT id, $2, $1, 'workspace_build', 'echo', "
      "$4, '{\"scope\": \"organization\", \"owner\": \"\"}', now(), now(), $6 FROM w) "
      "INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, "
      "transition, reason, initiator_id, job_id) SELECT id, id, 1, $5, 'start', 'initiator', $1, "
      "id "
      "FROM w",
      {f.world.owner.ToString(), f.world.organization.ToString(), f.world.template_id.ToString(),
       f.world.file.ToString(), f.world.version.ToString(), std::string(500, 'x'), count});
  f.world.Run("UPDATE workspaces SET latest_build_id = id WHERE name LIKE 'bulk-%'");
  const auto rows = f.world.Run("SELECT id::text AS id FROM workspaces WHERE name LIKE 'bulk-%'");
  std::vector<lifecycle::BuildId> builds;
  for (const pg::Result::Row row : rows) {
    builds.push_back(*lifecycle::BuildId::Parse(row.Get<std::string>("id")));
  }
  return builds;
}

v1::WatchAllWorkspaceBuildsRequest Snapshot() {
  v1::WatchAllWorkspaceBuildsRequest request;
  request.set_snapshot(true);
  return request;
}

// What a client makes of a snapshot and what follows it: the version of every workspace.
struct Ledger {
  void Take(const v1::WatchAllWorkspaceBuildsResponse& response) {
    CHECK(response.resume_token().empty() == !(complete || response.snapshot_complete()));
    complete = complete || response.snapshot_complete();
    for (const auto& item : response.snapshot_items()) {
      if (!versions.emplace(item.workspace_id(), item.workspace_version()).second) ++wrong;
    }
    for (const auto& watched : response.events()) {
      const auto& event = watched.event();
      const auto [known, fresh] =
          versions.try_emplace(event.workspace_id(), event.workspace_version());
      if (!fresh && event.workspace_version() != known->second + 1) ++wrong;
      known->second = event.workspace_version();
    }
  }

  // Whether it agrees with the table of workspaces.
  bool Holds(const std::map<std::string, int64_t>& truth) const {
    return complete && versions == truth;
  }

  bool complete = false;
  int wrong = 0;
  std::map<std::string, int64_t> versions;
};

std::map<std::string, int64_t> Truth(Fixture& f) {
  const auto rows =
      f.world.Run("SELECT id::text AS id, event_version FROM workspaces WHERE event_version > 0");
  std::map<std::string, int64_t> truth;
  for (const pg::Result::Row row : rows) {
    truth[row.Get<std::string>("id")] = row.Get<int64_t>("event_version");
  }
  return truth;
}

// Waits until no session has a transaction open that is older than this call.
void AwaitNoOlderTransaction(Fixture& f) {
  const auto began = f.world.Run("SELECT clock_timestamp()::text AS now").Get<std::string>(0, 0);
  const auto deadline = clock::Deadline::After(kPatience);
  int64_t open = 1;
  while (open > 0 && !deadline.Expired()) {
    open = f.world
               .Run(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                   "xact_start < $1::timestamptz",
                   {began})
               .Get<int64_t>(0, 0);
  }
  REQUIRE(open == 0);
}

// Verify that writers who commit while a slow client pages neither hide an event nor show it twice,
// and that no transaction stays open while the client does not read.
TEST_CASE("a slow client's snapshot under writers holds everything once, with what follows") {
  Fixture f;
  f.parts.write_limit = kPatience;
  const auto builds = AddMany(f, kWorkspaces);
  std::atomic<bool> done = false;
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      // Each on its own workspaces and on shared ones.
      for (size_t i = writer; !done; i += 7) f.WriteEvent(builds[i % builds.size()]);
    });
  }
  Watch watch(f, f.owner, Snapshot());
  Ledger ledger;
  int pages = 0;
  while (!ledger.complete) {
    if (pages < 4) AwaitNoOlderTransaction(f);
    REQUIRE(watch.Next());
    ledger.Take(watch.response);
    ++pages;
  }
  CHECK(pages > kWorkspaces / 200);
  CHECK(ledger.versions.size() == builds.size());
  done = true;
  writers.clear();
  const auto truth = Truth(f);
  while (!ledger.Holds(truth) && ledger.wrong == 0) {
    REQUIRE(watch.Next());
    ledger.Take(watch.response);
  }
  CHECK(ledger.wrong == 0);
}

TEST_CASE("snapshots under way are limited, and one that ends makes room") {
  Fixture f;
  f.parts.write_limit = kPatience;
  AddMany(f, kWorkspaces);
  {
    Watch slow(f, f.owner, Snapshot());
    REQUIRE(slow.Next());
    f.AwaitMetric("coderd_watch_watchers", "snapshot", 1);
    Watch second(f, f.owner, Snapshot());
    CHECK(second.Ending() == "TOO_MANY_SNAPSHOTS");
    CHECK(second.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    // Whoever needs none is served.
    Watch plain(f, f.owner, {});
    CHECK(plain.Next());
  }
  f.AwaitMetric("coderd_watch_endings_total", "CANCELLED", 2);
  Watch third(f, f.owner, Snapshot());
  Ledger ledger;
  while (!ledger.complete && third.Next()) ledger.Take(third.response);
  CHECK(ledger.versions.size() == kWorkspaces);
}

// The log of a database that goes away once, right after a page of states was read.
class LogLostOnce : public storage::PgEventLog {
 public:
  using PgEventLog::PgEventLog;
  absl::StatusOr<int64_t> HighestOutboxId() override {
    if (!std::exchange(lost_, true)) return absl::UnavailableError("the database went away");
    return PgEventLog::HighestOutboxId();
  }

 private:
  bool lost_ = false;
};

TEST_CASE("a database lost between two statements costs a snapshot no page") {
  Fixture f;
  AddMany(f, 10);
  LogLostOnce log(f.pool);
  WatchSnapshot snapshot(log, f.states, events::WatchFilter());
  const events::WatchRights rights{.everything = true};
  Ledger ledger;
  int failures = 0;
  for (bool complete = false; !complete;) {
    const auto next = snapshot.Step(rights);
    if (!next.ok()) {
      REQUIRE(++failures == 1);
      continue;
    }
    ledger.Take(next->message);
    complete = next->complete;
  }
  CHECK(failures == 1);
  CHECK(ledger.versions.size() == 10);
}

}  // namespace
}  // namespace coder::api
