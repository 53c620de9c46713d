#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coder/events/v1/build_event.pb.h"
#include "libs/schedule/spread.h"
#include "libs/storage/postgres/pg_lifecycle_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::LifecycleKind;
using lifecycle::WorkspaceId;
using testing::IsOk;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

// A world with a daemon and a stopped workspace whose schedule fired this minute.
struct Fixture {
  Fixture() {
    world.AddDaemon();
    now = world.Run("SELECT now()").Get<absl::Time>(0, 0);
    slot = absl::FromCivil(absl::ToCivilMinute(now, absl::UTCTimeZone()), absl::UTCTimeZone());
    id = world.AddWorkspace("dev");
    const BuildId build = world.AddBuild(id, "stop");
    world.MoveJob(build, "succeeded");
    world.Run("UPDATE workspace_builds SET created_at = now() - interval '2 hours'");
    const absl::CivilMinute minute = absl::ToCivilMinute(slot, absl::UTCTimeZone());
    world.Run(
        "UPDATE workspaces SET autostart_schedule = $1, next_start_at = $2, "
        "autostart_set_at = now() - interval '2 hours'",
        {absl::StrCat("CRON_TZ=UTC ", minute.minute(), " ", minute.hour(), " * * *"), slot});
  }

  // What the rules find due is sent, as the scheduler does; how the last of it ended.
  LifecycleResult Tick() {
    const auto page = store.Candidates(store.DueWorkspaces(now, Ample()).value(), Ample());
    REQUIRE_THAT(page, IsOk());
    LifecycleResult last;
    for (const LifecycleCandidate& candidate : *page) {
      const auto decision = lifecycle::NextTransition(candidate.snapshot, now);
      std::vector<LifecycleProposal> proposals;
      for (const auto& slot : decision.unused_slots) {
        proposals.push_back({id, LifecycleKind::kAutostart, slot.nominal_time, slot.attempt});
      }
      if (decision.action != lifecycle::LifecycleAction::kNone) {
        proposals.push_back({id, decision.kind, decision.nominal_time, decision.attempt});
      }
      if (proposals.empty()) continue;
      const auto applied = store.Apply(now, proposals, Ample());
      REQUIRE_THAT(applied, IsOk());
      wrote_events = applied->wrote_events;
      last = applied->results.back();
    }
    return last;
  }

  // The latest build's job fails, this long ago.
  void Fail(const std::string& ago) {
    const auto latest = world.Run("SELECT latest_build_id FROM workspaces").Get<std::string>(0, 0);
    world.MoveJob(BuildId::Parse(latest).value(), "failed");
    world.Run(
        "UPDATE provisioner_jobs SET completed_at = now() - $2::text::interval "
        "WHERE id = (SELECT job_id FROM workspace_builds WHERE id = $1)",
        {latest, ago});
  }

  bool IsCandidate() {
    const auto page = store.Candidates(store.DueWorkspaces(now, Ample()).value(), Ample());
    REQUIRE_THAT(page, IsOk());
    return !page->empty();
  }

  int64_t Count(const std::string& from) {
    return world.Run("SELECT count(*) FROM " + from).Get<int64_t>(0, 0);
  }

  MigratedDatabase database;
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  ids::UuidV7Generator ids{[] { return absl::FromChrono(std::chrono::system_clock::now()); },
                           ids::SystemRandom()};
  PgLifecycleStore store{pool, ids};
  absl::Time now;
  absl::Time slot;
  WorkspaceId id;
  bool wrote_events = false;
};

TEST_CASE("a failed autostart is attempted again, one build for each attempt") {
  Fixture f;
  f.world.Run("UPDATE templates SET autostart_max_attempts = 3");
  CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
  f.Fail("4 minutes");
  CHECK_FALSE(f.IsCandidate());
  f.Fail("6 minutes");
  REQUIRE(f.IsCandidate());
  CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
  CHECK(f.Tick().outcome == LifecycleOutcome::kNotDue);
  CHECK(f.Count("workspace_builds WHERE reason = 'autostart'") == 2);
  // The second failure waits twice as long.
  f.Fail("9 minutes");
  CHECK(f.Tick().outcome == LifecycleOutcome::kNotDue);
  f.Fail("11 minutes");
  const LifecycleResult third = f.Tick();
  CHECK(third.outcome == LifecycleOutcome::kApplied);
  CHECK_THAT(third.detail, Catch::StartsWith("attempt 3 of 3 for the slot at"));
  f.Fail("50 minutes");
  CHECK_FALSE(f.IsCandidate());
  CHECK(f.Count("workspace_builds WHERE reason = 'autostart'") == 3);
  CHECK(f.Count("lifecycle_outcomes") == 3);
  CHECK(f.Count("(SELECT DISTINCT nominal_at FROM lifecycle_outcomes) n") == 1);
  CHECK(f.Count("lifecycle_outcomes WHERE attempt = 3 AND build_id IS NOT NULL") == 1);
}

TEST_CASE("a retry that finds no provisioner stays open, and one that must not run is told once") {
  Fixture f;
  f.world.Run("UPDATE templates SET autostart_max_attempts = 2");
  REQUIRE(f.Tick().outcome == LifecycleOutcome::kApplied);
  f.Fail("6 minutes");
  SECTION("no provisioner") {
    f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now() - interval '2 min'");
    CHECK(f.Tick().reason == "NO_PROVISIONER");
    f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now()");
    CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
    CHECK(f.Count("lifecycle_outcomes WHERE attempt = 2 AND outcome = 'applied'") == 1);
  }
  SECTION("suspended owner") {
    f.world.Run("UPDATE users SET status = 'suspended'");
    CHECK(f.Tick().reason == "USER_SUSPENDED");
    f.world.Run("UPDATE users SET status = 'active'");
    CHECK_FALSE(f.IsCandidate());
    CHECK(f.Count("lifecycle_outcomes WHERE attempt = 2 AND outcome = 'skipped'") == 1);
  }
  SECTION("a person's start that fails is nobody's attempt") {
    f.world.Run("UPDATE workspace_builds SET reason = 'initiator'");
    CHECK_FALSE(f.IsCandidate());
  }
}

TEST_CASE("spread moves a start to the workspace's place, and the prefilter with it") {
  Fixture f;
  f.world.Run("UPDATE templates SET autostart_spread = interval '1 hour'");
  const absl::Duration offset = schedule::SpreadOffset(f.id.ToString(), absl::Hours(1));
  f.world.Run("UPDATE workspaces SET next_start_at = NULL");
  const auto page = f.store.Candidates(f.store.DueWorkspaces(f.now, Ample()).value(), Ample());
  REQUIRE_THAT(page, IsOk());
  REQUIRE(page->size() == 1);
  CHECK((*page)[0].snapshot.autostart_offset == offset);
  CHECK(f.world.Run("SELECT next_start_at FROM workspaces").Get<absl::Time>(0, 0) ==
        f.slot + offset);
}

TEST_CASE("a slot in a blackout and one to be left out are told, with their reasons") {
  Fixture f;
  std::string reason;
  SECTION("blackout of the organization") {
    reason = "BLACKOUT";
    f.world.Run(
        "INSERT INTO autostart_blackouts (id, organization_id, first_day, last_day, created_by) "
        "VALUES (gen_random_uuid(), $1, $3::text::date, $3::text::date, $2)",
        {f.world.organization.ToString(), f.world.owner.ToString(),
         lifecycle::FormatDate(absl::ToCivilDay(f.slot, absl::UTCTimeZone()))});
  }
  SECTION("asked for") {
    reason = "SKIP_REQUESTED";
    f.world.Run("UPDATE workspaces SET autostart_skip_until = $1", {f.slot});
  }
  const LifecycleResult result = f.Tick();
  CHECK(result.outcome == LifecycleOutcome::kSkipped);
  CHECK(result.reason == reason);
  CHECK_FALSE(f.IsCandidate());
  CHECK(f.Count("workspace_builds") == 1);
}

TEST_CASE("a blackout of another template touches nobody else") {
  Fixture f;
  const auto other = f.world.NewId<lifecycle::TemplateId>().ToString();
  f.world.Run(
      "INSERT INTO templates (id, organization_id, name, provisioner, active_version_id, "
      "created_by) SELECT $1, organization_id, 'other', provisioner, active_version_id, created_by "
      "FROM templates",
      {other});
  f.world.Run(
      "INSERT INTO autostart_blackouts (id, organization_id, template_id, first_day, last_day, "
      "created_by) VALUES (gen_random_uuid(), $1, $2, now()::date - 1, now()::date + 1, $3)",
      {f.world.organization.ToString(), other, f.world.owner.ToString()});
  CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
}

TEST_CASE("a deadline is reminded of once, by an event and without a build") {
  Fixture f;
  f.world.Run("UPDATE workspaces SET autostart_schedule = NULL, next_start_at = NULL");
  const BuildId build = f.world.AddBuild(f.id, "start");
  f.world.MoveJob(build, "succeeded");
  f.world.Run("UPDATE templates SET autostop_reminder = interval '30 minutes'");
  const auto set_deadline = [&](const std::string& ahead) {
    f.world.Run("UPDATE workspace_builds SET deadline = now() + $2::text::interval WHERE id = $1",
                {build.ToString(), ahead});
  };
  set_deadline("31 minutes");
  CHECK_FALSE(f.IsCandidate());
  set_deadline("29 minutes");
  CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
  CHECK(f.wrote_events);
  CHECK_FALSE(f.IsCandidate());
  CHECK(f.Count("outbox") == 1);
  CHECK(f.Count("workspace_builds") == 2);
  events::v1::BuildEventPack pack;
  REQUIRE(
      pack.ParseFromString(f.world.Run("SELECT payload FROM outbox").Get<pg::Bytea>(0, 0).bytes));
  CHECK(pack.events(0).kind() == events::v1::BUILD_EVENT_KIND_AUTOSTOP_REMINDER);
  CHECK(pack.events(0).has_deadline());
  // A deadline that was moved is another one.
  set_deadline("20 minutes");
  CHECK(f.Tick().outcome == LifecycleOutcome::kApplied);
  CHECK(f.Count("outbox") == 2);
}

}  // namespace
}  // namespace coder::storage
