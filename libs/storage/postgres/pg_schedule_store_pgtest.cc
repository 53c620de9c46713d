#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/ids/uuid.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_blackout_store.h"
#include "libs/storage/postgres/pg_schedule_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using absl::StatusCode;
using lifecycle::BuildId;
using lifecycle::WorkspaceId;
using testing::IsOk;
using testing::StatusIs;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

std::string ReasonOf(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

struct Fixture {
  // A workspace whose newest build, of this transition, has this status.
  WorkspaceId Workspace(const std::string& transition = "start",
                        const std::string& status = "succeeded") {
    const WorkspaceId id = world.AddWorkspace(absl::StrCat("dev-", ++workspaces));
    build = world.AddBuild(id, transition);
    if (status != "pending") world.MoveJob(build, status);
    return id;
  }

  void Set(const std::string& assignment) {
    world.Run("UPDATE workspace_builds SET " + assignment + " WHERE id = $1", {build.ToString()});
  }

  absl::Duration UntilDeadline() {
    return world
        .Run("SELECT deadline - clock_timestamp() FROM workspace_builds WHERE id = $1",
             {build.ToString()})
        .Get<absl::Duration>(0, 0);
  }

  absl::Duration SinceUse(const WorkspaceId& id) {
    return world
        .Run("SELECT clock_timestamp() - last_used_at FROM workspaces WHERE id = $1",
             {id.ToString()})
        .Get<absl::Duration>(0, 0);
  }

  BlackoutRecord Blackout(const char* first, const char* last) {
    BlackoutRecord blackout;
    blackout.id = world.NewId<lifecycle::BlackoutId>();
    blackout.organization = world.organization;
    blackout.dates = lifecycle::CheckBlackout(first, last, "fair").value();
    blackout.creator = world.owner;
    return blackout;
  }

  MigratedDatabase database;
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  PgScheduleStore store{pool};
  PgBlackoutStore blackouts{pool};
  BuildId build;
  int workspaces = 0;
};

TEST_CASE("use moves a running workspace's deadline and is noted, at most once a minute") {
  Fixture f;
  const WorkspaceId id = f.Workspace();
  f.world.Run("UPDATE workspaces SET last_used_at = now() - interval '1 hour'");
  f.Set("deadline = now() + interval '10 minutes'");
  const auto used = f.store.RecordActivity(id, "", Ample());
  REQUIRE_THAT(used, IsOk());
  CHECK(used->deadline_moved);
  // The bump is an hour.
  CHECK(f.UntilDeadline() > absl::Minutes(58));
  CHECK(f.UntilDeadline() <= absl::Hours(1));
  CHECK(f.SinceUse(id) < absl::Minutes(1));

  f.world.Run("UPDATE workspaces SET updated_at = 'epoch'");
  const auto again = f.store.RecordActivity(id, "", Ample());
  REQUIRE_THAT(again, IsOk());
  CHECK_FALSE(again->deadline_moved);
  CHECK(again->deadline == used->deadline);
  CHECK(f.world.Run("SELECT count(*) FROM workspaces WHERE updated_at = 'epoch'")
            .Get<int64_t>(0, 0) == 1);
}

TEST_CASE("use never passes the maximum deadline, nor makes one where there is none") {
  Fixture f;
  const WorkspaceId id = f.Workspace();
  SECTION("maximum") {
    f.Set("deadline = now() + interval '10 minutes', max_deadline = now() + interval '20 minutes'");
    const auto used = f.store.RecordActivity(id, "", Ample());
    REQUIRE_THAT(used, IsOk());
    CHECK(used->deadline_moved);
    CHECK(used->deadline == used->max_deadline);
    CHECK(f.UntilDeadline() <= absl::Minutes(20));
  }
  SECTION("none") {
    const auto used = f.store.RecordActivity(id, "", Ample());
    REQUIRE_THAT(used, IsOk());
    CHECK_FALSE(used->deadline);
  }
  SECTION("template without a bump") {
    f.world.Run("UPDATE templates SET activity_bump = interval '0'");
    f.Set("deadline = now() + interval '10 minutes'");
    CHECK_FALSE(f.store.RecordActivity(id, "", Ample())->deadline_moved);
  }
  SECTION("the next autostart and its TTL go further than the bump") {
    f.Set("deadline = now() + interval '10 minutes'");
    const absl::Time now = f.world.Run("SELECT now()").Get<absl::Time>(0, 0);
    const absl::CivilMinute slot =
        absl::ToCivilMinute(now + absl::Minutes(30), absl::UTCTimeZone());
    f.world.Run("UPDATE workspaces SET ttl = interval '8 hours', autostart_schedule = $1",
                {absl::StrCat(slot.minute(), " ", slot.hour(), " * * *")});
    REQUIRE(f.store.RecordActivity(id, "", Ample())->deadline_moved);
    CHECK(f.UntilDeadline() > absl::Hours(8) + absl::Minutes(28));
  }
}

TEST_CASE("what is not running, or has no such agent, was not used") {
  Fixture f;
  CHECK(ReasonOf(f.store.RecordActivity(f.Workspace("stop"), "", Ample()).status()) ==
        "NOT_RUNNING");
  CHECK(ReasonOf(f.store.RecordActivity(f.Workspace("start", "pending"), "", Ample()).status()) ==
        "NOT_RUNNING");
  CHECK_THAT(f.store.RecordActivity(f.world.NewId<WorkspaceId>(), "", Ample()),
             StatusIs(StatusCode::kNotFound));
  const WorkspaceId id = f.Workspace();
  const auto unknown = f.store.RecordActivity(id, "main", Ample());
  CHECK_THAT(unknown, StatusIs(StatusCode::kInvalidArgument, "\"main\" is no agent"));
  CHECK(status::FieldViolationsOf(unknown.status())[0].field == "agent");
  const auto resource = f.world.NewId<lifecycle::ResourceId>().ToString();
  f.world.Run(
      "INSERT INTO workspace_resources (id, job_id, transition, type, name) "
      "SELECT $2, job_id, 'start', 't', 'n' FROM workspace_builds WHERE id = $1",
      {f.build.ToString(), resource});
  f.world.Run(
      "INSERT INTO workspace_agents (id, resource_id, name, operating_system, architecture) "
      "VALUES (gen_random_uuid(), $1, 'main', 'linux', 'amd64')",
      {resource});
  CHECK_THAT(f.store.RecordActivity(id, "main", Ample()), IsOk());
}

TEST_CASE("the next autostarts are left out, counted from now, and taken back") {
  Fixture f;
  const WorkspaceId id = f.Workspace("stop");
  CHECK(ReasonOf(f.store.SkipStarts(id, 1, Ample()).status()) == "NO_SCHEDULE");
  f.world.Run("UPDATE workspaces SET autostart_schedule = 'CRON_TZ=UTC 0 9 * * *'");
  const auto one = f.store.SkipStarts(id, 1, Ample());
  REQUIRE_THAT(one, IsOk());
  REQUIRE(one->until);
  CHECK(one->next - *one->until == absl::Hours(24));
  const auto view = f.store.View(id, Ample());
  REQUIRE_THAT(view, IsOk());
  CHECK(view->snapshot.autostart_skip_until == one->until);
  CHECK(*one->until > view->now);
  CHECK(*one->until <= view->now + absl::Hours(24));

  const auto three = f.store.SkipStarts(id, 3, Ample());
  REQUIRE_THAT(three, IsOk());
  CHECK(*three->until == *one->until + absl::Hours(48));
  const auto none = f.store.SkipStarts(id, 0, Ample());
  REQUIRE_THAT(none, IsOk());
  CHECK_FALSE(none->until);
  CHECK(none->next == *one->until);
  CHECK_FALSE(f.store.View(id, Ample())->snapshot.autostart_skip_until);

  f.world.Run("UPDATE templates SET autostart_allowed_days = 0");
  CHECK(ReasonOf(f.store.SkipStarts(id, 1, Ample()).status()) == "NO_SCHEDULE");
  f.world.Run("UPDATE workspaces SET deleted_at = now()");
  CHECK_THAT(f.store.SkipStarts(id, 1, Ample()), StatusIs(StatusCode::kNotFound));
}

TEST_CASE("quiet hours are a user's until taken back") {
  Fixture f;
  CHECK_FALSE(f.store.QuietHours(f.world.owner, Ample()).value());
  REQUIRE_THAT(f.store.SetQuietHours(f.world.owner, "CRON_TZ=UTC 0 3 * * *", Ample()), IsOk());
  CHECK(f.store.QuietHours(f.world.owner, Ample()).value() == "CRON_TZ=UTC 0 3 * * *");
  REQUIRE_THAT(f.store.SetQuietHours(f.world.owner, std::nullopt, Ample()), IsOk());
  CHECK_FALSE(f.store.QuietHours(f.world.owner, Ample()).value());
  const auto nobody = f.world.NewId<lifecycle::UserId>();
  CHECK_THAT(f.store.QuietHours(nobody, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.store.SetQuietHours(nobody, std::nullopt, Ample()), StatusIs(StatusCode::kNotFound));
}

TEST_CASE("blackouts reach the workspaces of their organization or template") {
  Fixture f;
  const WorkspaceId id = f.Workspace("stop");
  f.world.Run("UPDATE workspaces SET autostart_schedule = 'CRON_TZ=UTC 0 9 * * *'");
  BlackoutRecord everywhere = f.Blackout("2999-12-24", "2999-12-26");
  BlackoutRecord one_template = f.Blackout("2998-01-01", "");
  one_template.template_id = f.world.template_id;
  REQUIRE_THAT(f.blackouts.Create(everywhere, Ample()), IsOk());
  REQUIRE_THAT(f.blackouts.Create(one_template, Ample()), IsOk());
  REQUIRE_THAT(f.blackouts.Create(f.Blackout("2001-01-01", ""), Ample()), IsOk());

  const auto view = f.store.View(id, Ample());
  REQUIRE_THAT(view, IsOk());
  REQUIRE(view->snapshot.blackouts.size() == 2);
  CHECK(view->snapshot.blackouts[0].last == absl::CivilDay(2999, 12, 26));
  CHECK(view->snapshot.blackouts[0].reason == "fair");
  const auto terms = f.store.ViewTemplate(f.world.template_id, Ample());
  REQUIRE_THAT(terms, IsOk());
  CHECK(terms->blackouts.size() == 2);
  CHECK(terms->organization == f.world.organization);
  CHECK_THAT(f.store.ViewTemplate(f.world.NewId<lifecycle::TemplateId>(), Ample()),
             StatusIs(StatusCode::kNotFound));

  const auto listed = f.blackouts.List(f.world.organization, Ample());
  REQUIRE_THAT(listed, IsOk());
  REQUIRE(listed->size() == 2);
  CHECK((*listed)[0].id == one_template.id);
  CHECK((*listed)[0].template_id == f.world.template_id);
  CHECK((*listed)[1].id == everywhere.id);
  CHECK_FALSE((*listed)[1].template_id);
  CHECK((*listed)[1].creator == f.world.owner);

  CHECK_THAT(f.blackouts.Delete(everywhere.id, Ample()), IsOk());
  CHECK_THAT(f.blackouts.Delete(everywhere.id, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK_THAT(f.blackouts.Get(everywhere.id, Ample()), StatusIs(StatusCode::kNotFound));
  CHECK(f.store.View(id, Ample())->snapshot.blackouts.size() == 1);
}

TEST_CASE("blackouts are bounded, and belong to what exists") {
  Fixture f;
  f.world.Run(
      "INSERT INTO autostart_blackouts (id, organization_id, first_day, last_day, created_by) "
      "SELECT gen_random_uuid(), $1, '2999-01-01', '2999-01-01', $2 FROM generate_series(1, 99)",
      {f.world.organization.ToString(), f.world.owner.ToString()});
  CHECK_THAT(f.blackouts.Create(f.Blackout("2999-01-02", ""), Ample()), IsOk());
  CHECK(ReasonOf(f.blackouts.Create(f.Blackout("2999-01-02", ""), Ample()).status()) ==
        "TOO_MANY_BLACKOUTS");
  BlackoutRecord lost = f.Blackout("2999-01-02", "");
  lost.template_id = f.world.NewId<lifecycle::TemplateId>();
  CHECK_THAT(f.blackouts.Create(lost, Ample()), StatusIs(StatusCode::kNotFound));
  lost.template_id.reset();
  lost.organization = f.world.NewId<lifecycle::OrganizationId>();
  CHECK_THAT(f.blackouts.Create(lost, Ample()), StatusIs(StatusCode::kNotFound));
}

}  // namespace
}  // namespace coder::storage
