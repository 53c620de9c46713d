#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_workspace_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using lifecycle::AutomaticUpdates;
using lifecycle::BuildTransition;
using lifecycle::WorkspaceId;
using lifecycle::WorkspaceStatus;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

struct Fixture {
  MigratedDatabase database;
  SampleWorld world{database.pool()};
  // The role the API has in production, so that a missing grant shows.
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"}}};
  ids::UuidV7Generator ids{[] { return absl::FromChrono(std::chrono::system_clock::now()); },
                           ids::SystemRandom()};
  PgWorkspaceStore store{pool, ids};

  NewWorkspace New(const std::string& name) {
    return {.owner = world.owner,
            .initiator = world.owner,
            .name = name,
            .from = {world.template_id, world.organization, world.version}};
  }

  WorkspaceRecord Make(const std::string& name) {
    auto made = store.Create(New(name), Ample());
    REQUIRE_THAT(made, IsOk());
    return *std::move(made);
  }

  WorkspaceRecord Reread(const WorkspaceRecord& workspace) {
    return store.Get(workspace.id, Ample()).value();
  }

  std::vector<std::string> Names(const WorkspaceFilter& filter) {
    std::vector<std::string> names;
    for (const auto& workspace : store.List(filter, std::nullopt, 500, Ample()).value()) {
      names.push_back(workspace.name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

const WorkspaceFilter kEverything{.scope = {.everything = true}};

template <typename T>
std::string ReasonOf(const absl::StatusOr<T>& result) {
  const auto reason = status::ReasonOf(result.status());
  return reason ? reason->reason : "";
}

template <typename T>
std::string FieldOf(const absl::StatusOr<T>& result) {
  const auto violations = status::FieldViolationsOf(result.status());
  return violations.empty() ? "" : violations[0].field;
}

TEST_CASE("a workspace is made with its first start") {
  Fixture f;
  NewWorkspace order = f.New("Dev");
  order.autostart_schedule = "CRON_TZ=Europe/Berlin 30  9 * * MON-FRI";
  order.ttl = absl::Hours(8) + absl::Seconds(20);
  order.automatic_updates = AutomaticUpdates::kAlways;
  const auto made = f.store.Create(order, Ample());
  REQUIRE_THAT(made, IsOk());
  CHECK(made->name == "Dev");
  CHECK(made->owner_name == "ada");
  CHECK(made->organization_name == "acme");
  CHECK(made->template_name == "go");
  CHECK(made->status() == WorkspaceStatus::kPending);
  CHECK(made->latest_build.number == 1);
  CHECK(made->latest_build.transition == BuildTransition::kStart);
  CHECK(made->autostart_schedule == "CRON_TZ=Europe/Berlin 30 9 * * mon-fri");
  CHECK(made->next_start_at.has_value());
  CHECK(made->ttl == absl::Hours(8));
  CHECK(made->automatic_updates == AutomaticUpdates::kAlways);
  CHECK_FALSE(made->outdated);
  CHECK(made->revision == 1);
  CHECK(f.world.Run("SELECT 1 FROM outbox").rows() == 1);
}

TEST_CASE("without a TTL of its own a workspace gets its template's, where users may choose one") {
  Fixture f;
  f.world.Run("UPDATE templates SET default_ttl = interval '3 hours'");
  CHECK(f.store.Create(f.New("default"), Ample())->ttl == absl::Hours(3));
  NewWorkspace order = f.New("own");
  order.ttl = absl::Hours(1);
  CHECK(f.store.Create(order, Ample())->ttl == absl::Hours(1));
  f.world.Run("UPDATE templates SET allow_user_autostop = false");
  CHECK_FALSE(f.store.Create(f.New("fixed"), Ample())->ttl);
}

TEST_CASE("what cannot be made leaves nothing behind") {
  Fixture f;
  NewWorkspace order = f.New("dev");
  SECTION("names") {
    for (const std::string& name : {std::string(), std::string("-x"), std::string("a--b"),
                                    std::string("new"), std::string("a b"), std::string(33, 'a')}) {
      CAPTURE(name);
      order.name = name;
      CHECK(FieldOf(f.store.Create(order, Ample())) == "name");
    }
  }
  SECTION("schedules") {
    for (const char* text : {"9 * *", "61 9 * * *", "0 9 1 * *", "CRON_TZ=Local 0 9 * * *",
                             "CRON_TZ=Mars/Base 0 9 * * *"}) {
      CAPTURE(text);
      order.autostart_schedule = text;
      const auto refused = f.store.Create(order, Ample());
      CHECK_THAT(refused, StatusIs(StatusCode::kInvalidArgument));
      CHECK(FieldOf(refused) == "autostart_schedule");
    }
  }
  SECTION("a day the template does not allow") {
    f.world.Run("UPDATE templates SET autostart_allowed_days = 1");
    order.autostart_schedule = "0 9 * * tue";
    CHECK(FieldOf(f.store.Create(order, Ample())) == "autostart_schedule");
  }
  SECTION("times to live") {
    for (const absl::Duration ttl :
         {absl::Seconds(59), absl::ZeroDuration(), absl::Hours(30 * 24) + absl::Minutes(1)}) {
      order.ttl = ttl;
      CHECK(FieldOf(f.store.Create(order, Ample())) == "ttl");
    }
  }
  SECTION("forbidden by the template") {
    f.world.Run("UPDATE templates SET allow_user_autostart = false, allow_user_autostop = false");
    order.ttl = absl::Hours(1);
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "AUTOSTOP_FORBIDDEN");
    order.autostart_schedule = "0 9 * * *";
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "AUTOSTART_FORBIDDEN");
  }
  SECTION("deprecated") {
    f.world.Run("UPDATE templates SET deprecation_message = 'use rust'");
    const auto refused = f.store.Create(order, Ample());
    CHECK(ReasonOf(refused) == "TEMPLATE_DEPRECATED");
    CHECK_THAT(refused, StatusIs(StatusCode::kFailedPrecondition, "use rust"));
  }
  SECTION("deleted template") {
    f.world.Run("UPDATE templates SET deleted_at = now()");
    CHECK_THAT(f.store.Create(order, Ample()), StatusIs(StatusCode::kNotFound));
  }
  SECTION("import failed") {
    order.from.version = f.world.AddVersion("v2", "failed");
    order.version_given = true;
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "IMPORT_FAILED");
  }
  SECTION("owner outside the organization") {
    f.world.Run("DELETE FROM organization_members");
    CHECK(FieldOf(f.store.Create(order, Ample())) == "owner");
  }
  SECTION("missing parameter") {
    f.world.Run(
        "INSERT INTO template_version_parameters (template_version_id, name, type, "
        "mutable, required) VALUES ($1, 'size', 'number', true, true)",
        {f.world.version.ToString()});
    CHECK(FieldOf(f.store.Create(order, Ample())) == "parameters[size]");
  }
  CHECK(f.world.Run("SELECT 1 FROM workspaces").empty());
  CHECK(f.world.Run("SELECT 1 FROM outbox").empty());
}

TEST_CASE("a name is one workspace of its owner, ignoring case") {
  Fixture f;
  const WorkspaceRecord first = f.Make("dev");
  CHECK(ReasonOf(f.store.Create(f.New("DEV"), Ample())) == "NAME_TAKEN");
  CHECK_THAT(f.store.Create(f.New("DEV"), Ample()), StatusIs(StatusCode::kAlreadyExists));
  NewWorkspace bobs = f.New("dev");
  bobs.owner = f.world.other;
  CHECK_THAT(f.store.Create(bobs, Ample()), IsOk());
  f.world.Run("UPDATE workspaces SET deleted_at = now() WHERE id = $1", {first.id.ToString()});
  const WorkspaceRecord second = f.Make("dev");
  CHECK(f.store.GetByName("ADA", "Dev", true, Ample())->id == second.id);
  f.world.Run("UPDATE workspaces SET deleted_at = now() WHERE id = $1", {second.id.ToString()});
  CHECK_THAT(f.store.GetByName("ada", "dev", false, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK(f.store.GetByName("ada", "dev", true, Ample())->id == second.id);
}

TEST_CASE("the same request again is one workspace") {
  Fixture f;
  NewWorkspace order = f.New("dev");
  order.request = RequestKey{
      .caller = "user:ada", .method = "/x", .request_id = f.ids.Next(), .request = "dev"};
  const auto first = f.store.Create(order, Ample());
  const auto again = f.store.Create(order, Ample());
  REQUIRE_THAT(again, IsOk());
  CHECK(first->id == again->id);
  order.request->request = "other";
  CHECK(ReasonOf(f.store.Create(order, Ample())) == "REQUEST_ID_REUSED");
}

TEST_CASE("owners and templates are found by what callers have") {
  Fixture f;
  CHECK(f.store.FindOwner("ADA", Ample())->id == f.world.owner);
  CHECK(f.store.FindOwner(f.world.other.ToString(), Ample())->username == "bob");
  CHECK_THAT(f.store.FindOwner("eve", Ample()), StatusIs(StatusCode::kNotFound));
  CHECK(f.store.FindTemplate(f.world.template_id, std::nullopt, Ample())->version ==
        f.world.version);
  const auto second = f.world.AddVersion("v2");
  CHECK(f.store.FindTemplate(std::nullopt, second, Ample())->id == f.world.template_id);
  CHECK_THAT(f.store.FindTemplate(f.world.NewId<lifecycle::TemplateId>(), std::nullopt, Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("a change needs the revision it was made from") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  WorkspaceChange change{.expected_revision = made.revision, .name = "work"};
  const auto renamed = f.store.Update(made.id, change, Ample());
  REQUIRE_THAT(renamed, IsOk());
  CHECK(renamed->name == "work");
  CHECK(renamed->revision == 2);
  const auto stale = f.store.Update(made.id, change, Ample());
  CHECK_THAT(stale, StatusIs(StatusCode::kAborted));
  CHECK(ReasonOf(stale) == "ETAG_MISMATCH");
  f.Make("dev");
  CHECK(ReasonOf(f.store.Update(made.id, {.name = "dev"}, Ample())) == "NAME_TAKEN");
  CHECK_THAT(f.store.Update(f.world.NewId<WorkspaceId>(), {.name = "x"}, Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("only what is asked for changes") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  auto changed =
      f.store.Update(made.id, {.autostart_schedule = "CRON_TZ=UTC 0 9 * * 1-5"}, Ample());
  REQUIRE_THAT(changed, IsOk());
  CHECK(changed->autostart_schedule == "CRON_TZ=UTC 0 9 * * 1-5");
  CHECK(changed->next_start_at.has_value());
  // The same schedule once more is no new one.
  const auto set_at = [&f, &made] {
    return f.world
        .Run("SELECT autostart_set_at FROM workspaces WHERE id = $1", {made.id.ToString()})
        .Get<absl::Time>(0, 0);
  };
  const absl::Time before = set_at();
  CHECK(before > made.created_at);
  REQUIRE(f.store.Update(made.id, {.autostart_schedule = "CRON_TZ=UTC 0 9 * * 1-5"}, Ample()).ok());
  CHECK(set_at() == before);
  changed = f.store.Update(made.id, {.set_ttl = true, .ttl = absl::Hours(2)}, Ample());
  CHECK(changed->ttl == absl::Hours(2));
  changed = f.store.Update(made.id, {.automatic_updates = AutomaticUpdates::kAlways}, Ample());
  CHECK(changed->automatic_updates == AutomaticUpdates::kAlways);
  CHECK(changed->autostart_schedule == "CRON_TZ=UTC 0 9 * * 1-5");
  CHECK(changed->ttl == absl::Hours(2));
  CHECK(changed->name == "dev");
  CHECK(FieldOf(f.store.Update(made.id, {.autostart_schedule = "x"}, Ample())) ==
        "autostart_schedule");
  changed = f.store.Update(made.id, {.autostart_schedule = "", .set_ttl = true}, Ample());
  CHECK(changed->autostart_schedule.empty());
  CHECK_FALSE(changed->next_start_at);
  CHECK_FALSE(changed->ttl);
}

TEST_CASE("without a TTL only the template's limit stops what runs") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  f.world.Run(
      "UPDATE workspace_builds SET deadline = now() + interval '1 hour', "
      "max_deadline = now() + interval '5 hours'");
  const auto changed = f.store.Update(made.id, {.set_ttl = true}, Ample());
  REQUIRE_THAT(changed, IsOk());
  CHECK(changed->latest_build.deadline == changed->latest_build.max_deadline);
}

TEST_CASE("a deadline moves within its bounds") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  const absl::Time now = made.created_at;
  const auto extend = [&](absl::Duration by) { return f.store.Extend(made.id, now + by, Ample()); };
  CHECK(ReasonOf(extend(absl::Hours(2))) == "NOT_RUNNING");
  f.world.MoveJob(made.latest_build.id, "succeeded");
  CHECK(ReasonOf(extend(absl::Hours(2))) == "NO_DEADLINE");
  f.world.Run(
      "UPDATE workspace_builds SET deadline = now() + interval '1 hour', "
      "max_deadline = now() + interval '5 hours'");
  CHECK(FieldOf(extend(absl::Minutes(5))) == "deadline");
  CHECK(FieldOf(extend(absl::Hours(6))) == "deadline");
  const auto extended = extend(absl::Hours(3));
  REQUIRE_THAT(extended, IsOk());
  CHECK(extended->latest_build.deadline == now + absl::Hours(3));
}

TEST_CASE("a workspace sleeps and wakes") {
  Fixture f;
  NewWorkspace order = f.New("dev");
  order.autostart_schedule = "0 9 * * *";
  const auto made = f.store.Create(order, Ample());
  f.world.Run("UPDATE templates SET time_til_dormant_autodelete = interval '30 days'");
  f.world.Run("UPDATE workspaces SET last_used_at = now() - interval '90 days'");
  const auto asleep = f.store.SetDormant(made->id, true, Ample());
  REQUIRE_THAT(asleep, IsOk());
  REQUIRE(asleep->dormant_at.has_value());
  CHECK(*asleep->deleting_at - *asleep->dormant_at == absl::Hours(30 * 24));
  CHECK_FALSE(asleep->next_start_at);
  CHECK(f.store.SetDormant(made->id, true, Ample())->revision == asleep->revision);
  const auto awake = f.store.SetDormant(made->id, false, Ample());
  CHECK_FALSE(awake->dormant_at);
  CHECK_FALSE(awake->deleting_at);
  CHECK(awake->next_start_at.has_value());
  CHECK(awake->last_used_at >= *asleep->dormant_at);
}

TEST_CASE("a list shows what the caller may read and asks for") {
  Fixture f;
  f.Make("one");
  NewWorkspace bobs = f.New("three");
  bobs.owner = f.world.other;
  REQUIRE_THAT(f.store.Create(bobs, Ample()), IsOk());
  using Words = std::vector<std::string>;
  WorkspaceFilter filter = kEverything;
  CHECK(f.Names(filter) == Words{"one", "three"});
  filter.owner = f.world.other;
  CHECK(f.Names(filter) == Words{"three"});
  filter = kEverything;
  filter.search = "HR";
  CHECK(f.Names(filter) == Words{"three"});
  filter.search = "%";
  CHECK(f.Names(filter).empty());
  filter = kEverything;
  filter.template_id = f.world.NewId<lifecycle::TemplateId>();
  CHECK(f.Names(filter).empty());
  filter = kEverything;
  filter.organization = f.world.organization;
  CHECK(f.Names(filter).size() == 2);

  WorkspaceFilter mine{.scope = {.own_in = {f.world.organization}}, .caller = f.world.other};
  CHECK(f.Names(mine) == Words{"three"});
  mine.scope = {.own = f.world.other};
  CHECK(f.Names(mine) == Words{"three"});
  mine.scope = {.organizations = {f.world.organization}};
  CHECK(f.Names(mine).size() == 2);
  mine.scope = {};
  CHECK(f.Names(mine).empty());
}

TEST_CASE("pages hold every workspace once") {
  Fixture f;
  for (int i = 0; i < 5; ++i) f.Make("w" + std::to_string(i));
  std::vector<std::string> names;
  std::optional<WorkspaceId> after;
  while (true) {
    const auto page = f.store.List(kEverything, after, 2, Ample());
    REQUIRE_THAT(page, IsOk());
    if (page->empty()) break;
    for (const WorkspaceRecord& workspace : *page) names.push_back(workspace.name);
    after = page->back().id;
  }
  CHECK(names == std::vector<std::string>{"w0", "w1", "w2", "w3", "w4"});
}

TEST_CASE("the list knows statuses by the same words as the domain") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  for (const std::string transition : {"start", "stop", "delete"}) {
    const lifecycle::BuildId build = f.world.AddBuild(made.id, transition);
    for (const std::string job : {"pending", "running", "succeeded", "failed", "canceled"}) {
      if (job != "pending") f.world.MoveJob(build, job);
      const WorkspaceStatus status = f.Reread(made).status();
      CAPTURE(transition, job, lifecycle::ToString(status));
      WorkspaceFilter filter = kEverything;
      filter.statuses = {status};
      CHECK(f.Names(filter).size() == 1);
      filter.statuses = {status == WorkspaceStatus::kFailed ? WorkspaceStatus::kPending
                                                            : WorkspaceStatus::kFailed};
      CHECK(f.Names(filter).empty());
    }
  }
  WorkspaceFilter deleted = kEverything;
  deleted.statuses = {WorkspaceStatus::kDeleted};
  const lifecycle::BuildId build = f.world.AddBuild(made.id, "delete");
  f.world.MoveJob(build, "succeeded");
  f.world.Run("UPDATE workspaces SET deleted_at = now()");
  CHECK(f.Names(deleted).size() == 1);
  CHECK(f.Names(kEverything).empty());
}

TEST_CASE("outcomes come newest first") {
  Fixture f;
  const WorkspaceRecord made = f.Make("dev");
  for (int day = 1; day <= 3; ++day) {
    f.world.Run(
        "INSERT INTO lifecycle_outcomes (workspace_id, kind, nominal_at, outcome, reason, "
        "build_id) VALUES ($1, 'autostart', now() - $2 * interval '1 day', $3, $4, $5)",
        {made.id.ToString(), day, day == 1 ? "applied" : "skipped", day == 1 ? "" : "BUILD_ACTIVE",
         day == 1 ? pg::Param(made.latest_build.id.ToString()) : pg::Param(std::nullopt)});
  }
  const auto outcomes = f.store.ListOutcomes(made.id, 2, Ample());
  REQUIRE_THAT(outcomes, IsOk());
  REQUIRE(outcomes->size() == 2);
  CHECK(outcomes->at(0).outcome == "applied");
  CHECK(outcomes->at(0).build == made.latest_build.id);
  CHECK(outcomes->at(1).reason == "BUILD_ACTIVE");
  CHECK_FALSE(outcomes->at(1).build);
}

}  // namespace
}  // namespace coder::storage
