#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "coder/events/v1/build_event.pb.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using lifecycle::BuildId;

absl::Status Write(pg::Pool& pool, const std::vector<BuildId>& builds,
                   BuildEventKind kind = BuildEventKind::kStatusChanged) {
  return pg::RunInTransaction(pool, {.deadline = clock::Deadline::After(absl::Minutes(1))},
                              [&](pg::Transaction& tx) -> absl::Status {
                                const auto role = tx.Execute("SET LOCAL ROLE coder_api");
                                if (!role.ok()) return role.status();
                                return WriteBuildEvents(tx, builds, kind);
                              });
}

// Every queued event in order of id: concatenated rows are a pack.
events::v1::BuildEventPack Queued(SampleWorld& world) {
  events::v1::BuildEventPack pack;
  std::string bytes;
  for (const auto row : world.Run("SELECT payload FROM outbox ORDER BY id")) {
    bytes += row.Get<pg::Bytea>(0).bytes;
  }
  REQUIRE(pack.ParseFromString(bytes));
  return pack;
}

TEST_CASE("an event says everything about its build") {
  MigratedDatabase database;
  SampleWorld world(database.pool());
  const auto workspace = world.AddWorkspace("dev");
  const BuildId build = world.AddBuild(workspace);
  world.MoveJob(build, "failed");
  world.Run("UPDATE workspace_builds SET max_deadline = now() + interval '9 hours'");
  REQUIRE_THAT(Write(database.pool(), {build}), IsOk());

  const auto pack = Queued(world);
  REQUIRE(pack.events_size() == 1);
  const events::v1::BuildEvent& event = pack.events(0);
  CHECK(event.organization_id() == world.organization.ToString());
  CHECK(event.owner_id() == world.owner.ToString());
  CHECK(event.template_id() == world.template_id.ToString());
  CHECK(event.workspace_id() == workspace.ToString());
  CHECK(event.workspace_version() == 1);
  CHECK(event.transition() == events::v1::BUILD_TRANSITION_START);
  CHECK(event.job_status() == events::v1::JOB_STATUS_FAILED);
  CHECK(event.reason() == events::v1::BUILD_REASON_INITIATOR);
  CHECK(event.kind() == events::v1::BUILD_EVENT_KIND_STATUS_CHANGED);
  CHECK(event.build_id() == build.ToString());
  CHECK(event.build_number() == 1);
  CHECK(event.template_version_id() == world.version.ToString());
  CHECK(event.initiator_id() == world.owner.ToString());
  CHECK(event.organization_name() == "acme");
  CHECK(event.owner_name() == "ada");
  CHECK(event.template_name() == "go");
  CHECK(event.template_version_name() == "v1");
  CHECK(event.workspace_name() == "dev");
  CHECK(event.initiator_name() == "ada");
  CHECK(event.has_event_time());
  CHECK(event.has_job_create_time());
  CHECK(event.has_job_start_time());
  CHECK(event.has_job_complete_time());
  CHECK_FALSE(event.has_deadline());
  CHECK(event.has_max_deadline());
  CHECK(event.error() == "apply: out of disk");
}

TEST_CASE("versions of a workspace rise by one and their rows in order") {
  MigratedDatabase database;
  SampleWorld world(database.pool());
  const BuildId one = world.AddBuild(world.AddWorkspace("one"));
  const BuildId two = world.AddBuild(world.AddWorkspace("two"));
  REQUIRE_THAT(Write(database.pool(), {one, two}), IsOk());
  REQUIRE_THAT(Write(database.pool(), {one}, BuildEventKind::kLateStateStored), IsOk());
  REQUIRE_THAT(Write(database.pool(), {two, one}, BuildEventKind::kLateStateResolved), IsOk());
  std::map<std::string, int64_t> last;
  const auto pack = Queued(world);
  CHECK(pack.events_size() == 5);
  for (const auto& event : pack.events()) {
    CHECK(event.workspace_version() == ++last[event.workspace_id()]);
  }
  CHECK(pack.events(2).kind() == events::v1::BUILD_EVENT_KIND_LATE_STATE_STORED);
  CHECK(pack.events(4).kind() == events::v1::BUILD_EVENT_KIND_LATE_STATE_RESOLVED);
  CHECK(world
            .Run("SELECT 1 FROM workspaces w JOIN outbox o ON o.workspace_id = w.id "
                 "AND o.workspace_version = w.event_version")
            .rows() == 2);
}

TEST_CASE("a long error is cut at a character") {
  MigratedDatabase database;
  SampleWorld world(database.pool());
  const BuildId build = world.AddBuild(world.AddWorkspace("dev"));
  world.MoveJob(build, "failed");
  world.Run(
      "UPDATE provisioner_jobs SET error = 'x' || repeat('ü', 1000) WHERE error <> '' "
      "AND type = 'workspace_build'");
  REQUIRE_THAT(Write(database.pool(), {build}), IsOk());
  const std::string error = Queued(world).events(0).error();
  CHECK(error.size() == 1023);
  CHECK(error.substr(error.size() - 2) == "ü");
}

TEST_CASE("unknown builds and two of one workspace write nothing") {
  MigratedDatabase database;
  SampleWorld world(database.pool());
  const auto workspace = world.AddWorkspace("dev");
  const BuildId first = world.AddBuild(workspace);
  const BuildId second = world.AddBuild(workspace);
  CHECK_THAT(Write(database.pool(), {first, world.NewId<BuildId>()}),
             StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(Write(database.pool(), {first, second}), StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(Write(database.pool(), {}), IsOk());
  CHECK(Queued(world).events_size() == 0);
}

}  // namespace
}  // namespace coder::storage
