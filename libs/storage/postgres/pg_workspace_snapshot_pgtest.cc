#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "coder/events/v1/build_event.pb.h"
#include "libs/storage/postgres/build_event_writer.h"
#include "libs/storage/postgres/pg_workspace_snapshot.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::IsOk;

struct World {
  MigratedDatabase database;
  SampleWorld sample{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  PgWorkspaceSnapshot snapshot{pool};

  std::string AddBuilt(const std::string& name, const lifecycle::UserId& owner) {
    const auto workspace = sample.AddWorkspace(name, owner);
    const auto build = sample.AddBuild(workspace);
    REQUIRE_THAT(
        pg::RunInTransaction(
            database.pool(), {.deadline = clock::Deadline::After(absl::Minutes(1))},
            [&](pg::Transaction& tx) -> absl::Status { return WriteBuildEvent(tx, build); }),
        IsOk());
    return workspace.ToString();
  }

  std::set<std::string> Ids(const events::WatchFilter& filter, const events::WatchRights& rights) {
    std::set<std::string> ids;
    std::string after;
    for (;;) {
      const auto page = snapshot.Page(after, 2, filter, rights);
      REQUIRE_THAT(page, IsOk());
      for (const WorkspaceState& state : *page) {
        CHECK(ids.insert(state.workspace_id).second);
        after = state.workspace_id;
        events::v1::BuildEvent event;
        REQUIRE(event.ParseFromString(state.event));
        CHECK(event.workspace_version() == state.version);
        CHECK(event.organization_name() == "acme");
      }
      if (page->size() < 2) return ids;
    }
  }
};

TEST_CASE("a snapshot holds what rights and filter admit, page by page") {
  World world;
  const std::string organization = world.sample.organization.ToString();
  std::set<std::string> mine;
  for (int i = 0; i < 5; ++i) {
    mine.insert(world.AddBuilt("mine-" + std::to_string(i), world.sample.owner));
  }
  std::set<std::string> all = mine;
  all.insert(world.AddBuilt("theirs", world.sample.other));
  world.sample.AddWorkspace("never-built");
  const std::string gone = world.AddBuilt("gone", world.sample.owner);
  world.sample.Run("UPDATE workspaces SET deleted_at = now() WHERE id = $1", {gone});

  CHECK(world.Ids({}, {.everything = true}) == all);
  CHECK(world.Ids({}, {.organization_ids = {organization}}) == all);
  const std::string owner = world.sample.owner.ToString();
  CHECK(world.Ids({}, {.owner_id = owner, .owner_organization_ids = {organization}}) == mine);
  CHECK(world.Ids({}, {.owner_id = owner}).empty());
  CHECK(world.Ids({}, {}).empty());
  CHECK(world.Ids({.owner_ids = {owner}}, {.everything = true}) == mine);
  CHECK(world.Ids({.workspace_ids = {*mine.begin()}}, {.everything = true}).size() == 1);
  CHECK(world.Ids({.template_ids = {organization}}, {.everything = true}).empty());
}

}  // namespace
}  // namespace coder::storage
