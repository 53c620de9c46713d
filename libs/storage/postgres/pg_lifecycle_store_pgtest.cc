#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
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
using testing::StatusIs;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

std::string ReasonOf(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

// A world with one daemon, and the store as the service's database role sees it.
struct Fixture {
  Fixture() {
    world.AddDaemon();
    now = world.Run("SELECT now()").Get<absl::Time>(0, 0);
  }

  // A workspace whose newest build, of this transition, succeeded this long ago.
  WorkspaceId Workspace(const std::string& name, const std::string& transition, absl::Duration ago,
                        const std::string& status = "succeeded") {
    const WorkspaceId id = world.AddWorkspace(name);
    const BuildId build = world.AddBuild(id, transition);
    if (status != "pending") world.MoveJob(build, status);
    world.Run("UPDATE workspace_builds SET created_at = $2 WHERE id = $1",
              {build.ToString(), now - ago});
    if (status != "pending" && status != "running") {
      world.Run(
          "UPDATE provisioner_jobs SET completed_at = $2 "
          "WHERE id = (SELECT job_id FROM workspace_builds WHERE id = $1)",
          {build.ToString(), now - ago});
    }
    return id;
  }

  // Gives it a schedule that fires every day at the UTC minute of `slot`, known to the prefilter.
  void Schedule(const WorkspaceId& id, absl::Time slot) {
    const absl::CivilMinute minute = absl::ToCivilMinute(slot, absl::UTCTimeZone());
    world.Run(
        "UPDATE workspaces w SET autostart_schedule = $2, next_start_at = $3, "
        "autostart_set_at = b.created_at FROM workspace_builds b "
        "WHERE w.id = $1 AND b.id = w.latest_build_id",
        {id.ToString(), absl::StrCat("CRON_TZ=UTC ", minute.minute(), " ", minute.hour(), " * * *"),
         slot});
  }

  // A stopped workspace whose autostart came due this minute.
  WorkspaceId DueToStart(const std::string& name) {
    const WorkspaceId id = Workspace(name, "stop", absl::Hours(2));
    Schedule(id, Slot());
    return id;
  }

  absl::Time Slot() const {
    return absl::FromCivil(absl::ToCivilMinute(now, absl::UTCTimeZone()), absl::UTCTimeZone());
  }

  void SetDeadline(const WorkspaceId& id, absl::Time deadline) {
    world.Run(
        "UPDATE workspace_builds SET deadline = $2 "
        "WHERE id = (SELECT latest_build_id FROM workspaces WHERE id = $1)",
        {id.ToString(), deadline});
  }

  std::vector<WorkspaceId> CandidateIds() {
    const auto page = store.Candidates(store.DueWorkspaces(now, Ample()).value(), Ample());
    REQUIRE_THAT(page, IsOk());
    std::vector<WorkspaceId> ids;
    for (const LifecycleCandidate& candidate : *page) ids.push_back(candidate.workspace_id);
    return ids;
  }

  LifecycleResult ApplyOne(const WorkspaceId& id, LifecycleKind kind, absl::Time nominal) {
    auto applied = store.Apply(now, {{id, kind, nominal}}, Ample());
    REQUIRE_THAT(applied, IsOk());
    REQUIRE(applied->results.size() == 1);
    const bool queued = !applied->queued_in.empty();
    CHECK(queued == (applied->queued_in == std::set{world.organization}));
    return applied->results.front();
  }

  // What the domain would propose, done and answered.
  LifecycleResult ApplyDue(const WorkspaceId& id) {
    const auto page = store.Candidates(store.DueWorkspaces(now, Ample()).value(), Ample());
    REQUIRE_THAT(page, IsOk());
    for (const LifecycleCandidate& candidate : *page) {
      if (candidate.workspace_id != id) continue;
      const auto decision = lifecycle::NextTransition(candidate.snapshot, now);
      if (decision.action != lifecycle::LifecycleAction::kNone) {
        return ApplyOne(id, decision.kind, decision.nominal_time);
      }
      if (!decision.unused_slots.empty()) {
        return ApplyOne(id, LifecycleKind::kAutostart, decision.unused_slots.back().nominal_time);
      }
    }
    return {};
  }

  // The newest build as "number transition reason job-status".
  std::string Latest(const WorkspaceId& id) {
    return world
        .Run(
            "SELECT b.build_number || ' ' || b.transition || ' ' || b.reason || ' ' || j.status "
            "FROM workspaces w JOIN workspace_builds b ON b.id = w.latest_build_id "
            "JOIN provisioner_jobs j ON j.id = b.job_id WHERE w.id = $1",
            {id.ToString()})
        .Get<std::string>(0, 0);
  }

  int64_t Count(const std::string& from) {
    return world.Run("SELECT count(*) FROM " + from).Get<int64_t>(0, 0);
  }

  std::optional<absl::Time> NextStart(const WorkspaceId& id) {
    return world.Run("SELECT next_start_at FROM workspaces WHERE id = $1", {id.ToString()})
        .Get<std::optional<absl::Time>>(0, 0);
  }

  MigratedDatabase database;
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'"}}};
  ids::UuidV7Generator ids{[] { return absl::FromChrono(std::chrono::system_clock::now()); },
                           ids::SystemRandom()};
  PgLifecycleStore store{pool, ids};
  absl::Time now;
};

TEST_CASE("a due autostart becomes one build with its event, whoever asks and how often") {
  Fixture f;
  const WorkspaceId id = f.DueToStart("dev");
  REQUIRE(f.CandidateIds() == std::vector{id});
  const LifecycleProposal proposal{id, LifecycleKind::kAutostart, f.Slot()};

  // Two schedulers at once, and then a replay.
  std::vector<LifecycleResult> answers(2);
  std::vector<std::thread> schedulers;
  for (LifecycleResult& answer : answers) {
    schedulers.emplace_back([&f, &proposal, &answer] {
      auto results = f.store.Apply(f.now, {proposal}, Ample());
      if (results.ok()) answer = results->results.front();
    });
  }
  for (std::thread& scheduler : schedulers) scheduler.join();
  answers.push_back(f.ApplyOne(id, LifecycleKind::kAutostart, f.Slot()));

  for (const LifecycleResult& answer : answers) {
    CHECK(answer.outcome == LifecycleOutcome::kApplied);
    CHECK(answer.reason.empty());
    CHECK(answer.build_id == answers[0].build_id);
  }
  CHECK(f.Latest(id) == "2 start autostart pending");
  CHECK(f.Count("workspace_builds") == 2);
  CHECK(f.Count("outbox") == 1);
  CHECK(f.Count("lifecycle_outcomes WHERE outcome = 'applied'") == 1);
  CHECK(f.Count("workspace_builds b JOIN workspaces w ON w.owner_id = b.initiator_id "
                "WHERE b.reason = 'autostart'") == 1);
  CHECK(f.NextStart(id) == f.Slot() + absl::Hours(24));
  CHECK(f.CandidateIds().empty());
}

TEST_CASE("what comes to nothing is recorded once with its reason") {
  struct Row {
    std::string name, sql, reason;
  };
  const Row row = GENERATE(values<Row>({
      {"suspended owner", "UPDATE users SET status = 'suspended'", "USER_SUSPENDED"},
      {"dormant owner", "UPDATE users SET status = 'dormant'", "USER_DORMANT"},
      {"dormant workspace", "UPDATE workspaces SET dormant_at = now()", "WORKSPACE_DORMANT"},
      {"template forbids", "UPDATE templates SET allow_user_autostart = false", "TEMPLATE_FORBIDS"},
      {"no daemon seen", "UPDATE provisioner_daemons SET last_seen_at = now() - interval '91 s'",
       "NO_PROVISIONER"},
      {"daemon of another engine", "UPDATE provisioner_daemons SET provisioners = '{terraform}'",
       "NO_PROVISIONER"},
      {"daemon with other tags", "UPDATE provisioner_daemons SET tags = '{\"zone\": \"a\"}'",
       "NO_PROVISIONER"},
      {"late state", "UPDATE workspace_builds SET late_state = 'x', late_state_at = now()",
       "LATE_STATE"},
      {"archived version", "UPDATE template_versions SET archived_at = now()", "VERSION_ARCHIVED"},
  }));
  DYNAMIC_SECTION(row.name) {
    Fixture f;
    const WorkspaceId id = f.DueToStart("dev");
    f.world.Run(row.sql);
    REQUIRE(f.CandidateIds() == std::vector{id});
    for (int repetition = 0; repetition < 2; ++repetition) {
      const LifecycleResult result = f.ApplyOne(id, LifecycleKind::kAutostart, f.Slot());
      CHECK(result.outcome == LifecycleOutcome::kSkipped);
      CHECK(result.reason == row.reason);
      CHECK_FALSE(result.detail.empty());
    }
    CHECK(f.Count("workspace_builds") == 1);
    CHECK(f.Count("lifecycle_outcomes") == 1);
  }
}

TEST_CASE("a start that found no provisioner is tried again, until the window ends") {
  Fixture f;
  const WorkspaceId id = f.DueToStart("dev");
  f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now() - interval '2 min'");
  REQUIRE(f.ApplyDue(id).reason == "NO_PROVISIONER");
  REQUIRE(f.CandidateIds() == std::vector{id});

  SECTION("one appears") {
    f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now()");
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
    CHECK(f.Latest(id) == "2 start autostart pending");
  }
  SECTION("none does") {
    f.world.Run("UPDATE templates SET autostart_catch_up = interval '0'");
    const LifecycleResult result = f.ApplyDue(id);
    CHECK(result.outcome == LifecycleOutcome::kMissed);
    CHECK(result.reason == "NO_PROVISIONER");
    CHECK(f.CandidateIds().empty());
  }
  CHECK(f.Count("lifecycle_outcomes") == 1);
}

TEST_CASE(
    "a slot is told when a build went before it was noticed, but not one before its schedule") {
  Fixture f;
  const WorkspaceId id = f.Workspace("dev", "start", absl::Minutes(5));
  f.Schedule(id, f.Slot() - absl::Minutes(10));
  SECTION("a person was faster than the scheduler") {
    f.world.Run("UPDATE workspaces SET autostart_set_at = now() - interval '1 hour'");
    const LifecycleResult result =
        f.ApplyOne(id, LifecycleKind::kAutostart, f.Slot() - absl::Minutes(10));
    CHECK(result.outcome == LifecycleOutcome::kSkipped);
    CHECK(result.reason == "SUPERSEDED");
  }
  SECTION("the schedule is newer") {
    f.world.Run("UPDATE workspaces SET autostart_set_at = now()");
    const LifecycleResult result =
        f.ApplyOne(id, LifecycleKind::kAutostart, f.Slot() - absl::Minutes(10));
    CHECK(result.outcome == LifecycleOutcome::kNotDue);
    CHECK(f.Count("lifecycle_outcomes") == 0);
  }
  CHECK(f.Count("workspace_builds") == 1);
}

TEST_CASE("a build that is being done decides") {
  Fixture f;
  SECTION("a running start uses the slot up") {
    const WorkspaceId id = f.Workspace("dev", "start", absl::Hours(2), "running");
    f.Schedule(id, f.Slot());
    const LifecycleResult result = f.ApplyDue(id);
    CHECK(result.outcome == LifecycleOutcome::kSkipped);
    CHECK(result.reason == "BUILD_ACTIVE");
  }
  SECTION("a running stop leaves it open") {
    const WorkspaceId id = f.Workspace("dev", "stop", absl::Hours(2), "running");
    f.Schedule(id, f.Slot());
    const LifecycleResult result = f.ApplyOne(id, LifecycleKind::kAutostart, f.Slot());
    CHECK(result.outcome == LifecycleOutcome::kNotDue);
    CHECK(f.CandidateIds() == std::vector{id});
  }
}

TEST_CASE("a schedule that cannot be read is a recorded, visible state") {
  Fixture f;
  const WorkspaceId id = f.Workspace("dev", "stop", absl::Hours(2));
  f.world.Run("UPDATE workspaces SET autostart_schedule = 'when I wake up'");
  const LifecycleResult result = f.ApplyOne(id, LifecycleKind::kAutostart, f.now - absl::Hours(2));
  CHECK(result.outcome == LifecycleOutcome::kSkipped);
  CHECK(result.reason == "SCHEDULE_INVALID");
  CHECK(f.CandidateIds() == std::vector{id});
}

TEST_CASE("the next autostart is computed where it is not known") {
  Fixture f;
  const WorkspaceId id = f.Workspace("dev", "stop", absl::Minutes(5));
  f.Schedule(id, f.Slot() + absl::Hours(3));
  f.world.Run("UPDATE workspaces SET next_start_at = NULL");
  CHECK(f.CandidateIds() == std::vector{id});
  CHECK(f.NextStart(id) == f.Slot() + absl::Hours(3));
  CHECK(f.CandidateIds().empty());
}

TEST_CASE("a slot older than the catch-up window is recorded as missed") {
  Fixture f;
  const WorkspaceId id = f.Workspace("dev", "stop", absl::Hours(5));
  f.Schedule(id, f.Slot() - absl::Hours(2));
  const LifecycleResult result = f.ApplyDue(id);
  CHECK(result.outcome == LifecycleOutcome::kMissed);
  CHECK(result.reason == "OUTSIDE_CATCH_UP");
  CHECK(f.Count("workspace_builds") == 1);
  CHECK(f.CandidateIds().empty());
}

TEST_CASE("a workspace stops at its deadline") {
  Fixture f;
  const WorkspaceId id = f.Workspace("dev", "start", absl::Hours(2));
  SECTION("at the time itself") {
    f.SetDeadline(id, f.now);
    CHECK(f.CandidateIds() == std::vector{id});
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
    CHECK(f.Latest(id) == "2 stop autostop pending");
    CHECK(f.CandidateIds().empty());
  }
  SECTION("not before it") {
    f.SetDeadline(id, f.now + absl::Minutes(10));
    CHECK(f.CandidateIds().empty());
    CHECK(f.ApplyOne(id, LifecycleKind::kAutostop, f.now + absl::Minutes(10)).outcome ==
          LifecycleOutcome::kNotDue);
    CHECK(f.Count("lifecycle_outcomes") == 0);
  }
  SECTION("when its owner is suspended") {
    f.world.Run("UPDATE users SET status = 'suspended'");
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
    CHECK(f.Latest(id) == "2 stop autostop pending");
  }
  SECTION("not because its owner is dormant") {
    f.world.Run("UPDATE users SET status = 'dormant'");
    CHECK(f.CandidateIds().empty());
  }
  SECTION("as soon as there is a provisioner") {
    f.SetDeadline(id, f.now - absl::Minutes(1));
    f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now() - interval '2 min'");
    CHECK(f.ApplyDue(id).reason == "NO_PROVISIONER");
    f.world.Run("UPDATE provisioner_daemons SET last_seen_at = now()");
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
  }
}

TEST_CASE("a failed start is cleaned up after the failure TTL") {
  Fixture f;
  f.world.Run("UPDATE templates SET failure_ttl = interval '1 hour'");
  const WorkspaceId old = f.Workspace("old", "start", absl::Hours(2), "failed");
  f.Workspace("fresh", "start", absl::Minutes(30), "failed");
  CHECK(f.CandidateIds() == std::vector{old});
  CHECK(f.ApplyDue(old).outcome == LifecycleOutcome::kApplied);
  CHECK(f.Latest(old) == "2 stop failedstop pending");
}

TEST_CASE("an unused workspace becomes dormant, and a dormant one vanishes") {
  Fixture f;
  f.world.Run(
      "UPDATE templates SET time_til_dormant = interval '1 day', "
      "time_til_dormant_autodelete = interval '2 days'");
  const auto unused = [&](const WorkspaceId& id) {
    f.world.Run("UPDATE workspaces SET last_used_at = $2 WHERE id = $1",
                {id.ToString(), f.now - absl::Hours(25)});
  };
  SECTION("a stopped one is only marked") {
    const WorkspaceId id = f.Workspace("dev", "stop", absl::Hours(30));
    unused(id);
    const LifecycleResult result = f.ApplyDue(id);
    CHECK(result.outcome == LifecycleOutcome::kApplied);
    CHECK_FALSE(result.build_id);
    CHECK(f.Count("workspaces WHERE deleting_at - dormant_at BETWEEN interval '47 h' AND "
                  "interval '49 h'") == 1);
    CHECK(f.Count("workspace_builds") == 1);
  }
  SECTION("a running one is stopped too") {
    const WorkspaceId id = f.Workspace("dev", "start", absl::Hours(30));
    unused(id);
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
    CHECK(f.Latest(id) == "2 stop dormancy pending");
    CHECK(f.Count("workspaces WHERE dormant_at IS NOT NULL") == 1);
  }
  SECTION("deleted when its time has come") {
    const WorkspaceId id = f.Workspace("dev", "stop", absl::Hours(80));
    f.world.Run(
        "UPDATE workspaces SET dormant_at = now() - interval '49 h', "
        "deleting_at = now() - interval '1 h'");
    CHECK(f.ApplyDue(id).outcome == LifecycleOutcome::kApplied);
    CHECK(f.Latest(id) == "2 delete autodelete pending");
  }
}

TEST_CASE("a tick far ahead of the database's time is refused") {
  Fixture f;
  const WorkspaceId id = f.DueToStart("dev");
  const absl::Time ahead = f.now + absl::Minutes(5);
  const auto page = f.store.DueWorkspaces(ahead, Ample());
  CHECK(ReasonOf(page.status()) == "TICK_IN_FUTURE");
  const auto results = f.store.Apply(ahead, {{id, LifecycleKind::kAutostart, f.Slot()}}, Ample());
  CHECK_THAT(results, StatusIs(absl::StatusCode::kFailedPrecondition, "set the scheduler's clock"));
  CHECK(ReasonOf(results.status()) == "TICK_IN_FUTURE");
  CHECK_THAT(f.store.Apply(f.now, std::vector<LifecycleProposal>(kMaxLifecycleChunk + 1), Ample()),
             StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("one workspace that cannot be written does not hold up its neighbours") {
  Fixture f;
  std::vector<LifecycleProposal> proposals;
  for (const char* name : {"a", "bad", "c"}) {
    proposals.push_back({f.DueToStart(name), LifecycleKind::kAutostart, f.Slot()});
  }
  proposals.push_back({f.world.NewId<WorkspaceId>(), LifecycleKind::kAutostart, f.Slot()});
  f.world.Run(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF (SELECT name FROM workspaces WHERE id = NEW.workspace_id) = 'bad' THEN "
      "RAISE EXCEPTION 'broken page'; END IF; RETURN NEW; END $$");
  f.world.Run(
      "CREATE TRIGGER refuse BEFORE INSERT ON workspace_builds FOR EACH ROW "
      "EXECUTE FUNCTION refuse()");
  const auto applied = f.store.Apply(f.now, proposals, Ample());
  REQUIRE_THAT(applied, IsOk());
  const auto& results = applied->results;
  REQUIRE(results.size() == 4);
  CHECK(applied->queued_in == std::set{f.world.organization});
  CHECK(results[0].outcome == LifecycleOutcome::kApplied);
  CHECK(results[1].outcome == LifecycleOutcome::kSkipped);
  CHECK(results[1].reason == kWriteFailed);
  CHECK(results[1].detail.find("broken page") == std::string::npos);
  CHECK(results[2].outcome == LifecycleOutcome::kApplied);
  CHECK(results[3].outcome == LifecycleOutcome::kNotDue);
  CHECK(f.Count("outbox") == 2);
}

TEST_CASE("due workspaces are told by id, and read as many at once as one likes") {
  Fixture f;
  std::vector<WorkspaceId> made;
  for (const char* name : {"a", "b", "c"}) made.push_back(f.DueToStart(name));
  f.Workspace("quiet", "stop", absl::Hours(1));
  std::sort(made.begin(), made.end());
  CHECK(f.store.DueWorkspaces(f.now, Ample()).value() == made);
  const auto read = f.store.Candidates({made[0], made[2]}, Ample());
  REQUIRE_THAT(read, IsOk());
  REQUIRE(read->size() == 2);
  CHECK((*read)[0].workspace_id == made[0]);
  CHECK((*read)[1].workspace_id == made[2]);
}

}  // namespace
}  // namespace coder::storage
