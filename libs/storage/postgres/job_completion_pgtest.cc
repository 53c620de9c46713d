#include <catch2/catch.hpp>

#include "libs/schedule/spread.h"
#include "libs/storage/postgres/job_store_fixture.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::JobStatus;
using testing::IsOk;
using Fixture = JobStoreFixture;

TEST_CASE(
    "a completed start has a deadline, its resources and one event, however often it is told") {
  Fixture f;
  const BuildId build = f.PendingBuild("dev");
  f.world.Run(
      "UPDATE workspaces SET ttl = interval '8 hours', autostart_schedule = "
      "'CRON_TZ=UTC 30 9 * * *'");
  const LeaseClaim claim = f.AcquiredClaim();
  const std::vector<ResourceRecord> resources = {{.type = "null_resource",
                                                  .name = "dev",
                                                  .metadata = {{"password", "hunter2", true}},
                                                  .agents = {{.name = "main",
                                                              .operating_system = "linux",
                                                              .architecture = "amd64",
                                                              .token = "agent-token",
                                                              .apps = {{.slug = "ide"}}}}}};
  const std::vector<StageTiming> timings = {
      {"apply", absl::FromUnixSeconds(100), absl::FromUnixSeconds(101)}};
  f.RequestCancel(claim.job);
  REQUIRE_THAT(f.store.CompleteBuild(claim, resources, timings, Ample()), IsOk());
  REQUIRE_THAT(f.store.CompleteBuild(claim, resources, timings, Ample()), IsOk());
  CHECK(f.Events() == "RUNNING,SUCCEEDED");
  CHECK(f.View(claim.job).status == JobStatus::kSucceeded);
  const auto row = f.world.Run(
      "SELECT w.next_start_at > now() AS scheduled, b.deadline IN (j.completed_at + w.ttl, "
      "w.next_start_at + w.ttl) AS dated FROM workspace_builds b "
      "JOIN workspaces w ON w.id = b.workspace_id JOIN provisioner_jobs j ON j.id = b.job_id "
      "WHERE b.id = $1",
      {build.ToString()});
  CHECK(row.Get<bool>(0, "scheduled"));
  CHECK(row.Get<bool>(0, "dated"));
  CHECK(f.world.Run("SELECT count(*) FROM workspace_apps").Get<int64_t>(0, 0) == 1);
  CHECK(f.world
            .Run("SELECT metadata->0->>'value' = '' AND hashed_token = sha256('agent-token') "
                 "FROM workspace_resources r JOIN workspace_agents a ON a.resource_id = r.id")
            .Get<bool>(0, 0));
}

TEST_CASE("a required stop bounds the deadline by the owner's quiet hours") {
  Fixture f;
  const schedule::QuietHoursTerms terms{.default_schedule = "CRON_TZ=Asia/Tokyo 0 3 * * *",
                                        .users_choose = GENERATE(true, false)};
  PgJobStore store(f.pool, f.ids, terms);
  const bool chosen = GENERATE(true, false);
  f.world.Run("UPDATE templates SET autostop_requirement_days = 127");
  if (chosen) {
    f.world.Run("UPDATE users SET quiet_hours_schedule = 'CRON_TZ=Europe/Berlin 30 4 * * *'");
  }
  const BuildId build = f.PendingBuild("dev");
  f.world.Run("UPDATE workspaces SET ttl = interval '30 days'");
  REQUIRE_THAT(store.CompleteBuild(f.AcquiredClaim(), {}, {}, Ample()), IsOk());
  const bool own = chosen && terms.users_choose;
  const auto row = f.world.Run(
      "SELECT deadline = max_deadline AS bounded, "
      "to_char(max_deadline AT TIME ZONE $2, 'HH24:MI') AS local, "
      "max_deadline - now() BETWEEN interval '1 hour' AND interval '27 hours' AS near "
      "FROM workspace_builds WHERE id = $1",
      {build.ToString(), own ? "Europe/Berlin" : "Asia/Tokyo"});
  CHECK(row.Get<bool>(0, "bounded"));
  CHECK(row.Get<std::string>(0, "local") == (own ? "04:30" : "03:00"));
  CHECK(row.Get<bool>(0, "near"));
}

TEST_CASE("a build that a rule asked for says when that was due, at both ends") {
  Fixture f;
  const BuildId build = f.PendingBuild("dev");
  f.world.Run("UPDATE templates SET autostart_spread = interval '1 hour'");
  const std::string reason = GENERATE("autostart", "autostop", "initiator");
  const int attempt = GENERATE(1, 2);
  f.world.Run("UPDATE workspace_builds SET reason = $1", {reason});
  if (reason != "initiator") {
    f.world.Run(
        "INSERT INTO lifecycle_outcomes (workspace_id, kind, nominal_at, attempt, outcome, "
        "build_id) SELECT workspace_id, $2, 'epoch', $3, 'applied', id FROM workspace_builds "
        "WHERE id = $1",
        {build.ToString(), reason, attempt});
  }
  const auto id = f.world.Run("SELECT id FROM workspaces").Get<std::string>(0, 0);
  std::optional<absl::Time> due;
  if (reason != "initiator" && attempt == 1) {
    due = absl::UnixEpoch() + (reason == "autostart" ? schedule::SpreadOffset(id, absl::Hours(1))
                                                     : absl::ZeroDuration());
  }
  const auto acquired = f.Acquire();
  REQUIRE(acquired);
  CHECK(std::get<BuildWork>(acquired->work).due_at == due);
  const LeaseClaim claim = f.ClaimOf(*acquired);
  const auto completed = f.store.CompleteBuild(claim, {}, {}, Ample());
  REQUIRE_THAT(completed, IsOk());
  REQUIRE(*completed);
  CHECK((*completed)->due_at == due);
  CHECK(lifecycle::ToString((*completed)->reason) == reason);
  CHECK_FALSE(*f.store.CompleteBuild(claim, {}, {}, Ample()));
}

TEST_CASE("a completed delete deletes the workspace") {
  Fixture f;
  f.PendingBuild("dev", "delete");
  const LeaseClaim claim = f.AcquiredClaim();
  REQUIRE_THAT(f.store.CompleteBuild(claim, {}, {}, Ample()), IsOk());
  CHECK(f.world.Run("SELECT count(*) FROM workspaces WHERE deleted_at IS NOT NULL")
            .Get<int64_t>(0, 0) == 1);
}

TEST_CASE("a failure ends canceled only when a cancel was asked for") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  const bool asked = GENERATE(true, false);
  if (asked) f.RequestCancel(claim.job);
  const JobFailure failure{"apply: no space", "ENGINE_FAILED", true};
  REQUIRE_THAT(f.store.FailJob(claim, failure, {}, Ample()), IsOk());
  REQUIRE_THAT(f.store.FailJob(claim, failure, {}, Ample()), IsOk());
  const JobView view = f.View(claim.job);
  CHECK(view.status == (asked ? JobStatus::kCanceled : JobStatus::kFailed));
  CHECK(view.error == (asked ? "" : "apply: no space"));
  CHECK(f.Events() == (asked ? "RUNNING,CANCELED" : "RUNNING,FAILED"));
  CHECK(ReasonOf(f.store.CompleteBuild(claim, {}, {}, Ample()).status()) == "LEASE_LOST");
}

TEST_CASE("a completed import leaves what builds of the version need") {
  Fixture f;
  const auto version = f.world.AddVersion("v2", "pending");
  f.world.Run(
      "INSERT INTO template_version_variables (template_version_id, name, sealed_value) "
      "VALUES ($1, 'region', 'sealed')",
      {version.ToString()});
  const auto job = f.Acquire();
  REQUIRE(job);
  CHECK(std::get<ImportWork>(job->work).version == version);
  CHECK(std::get<ImportWork>(job->work).template_name == "go");
  ImportOutcome outcome;
  outcome.parameters = {{.name = "size",
                         .type = "number",
                         .is_mutable = true,
                         .required = true,
                         .options = {{"big", "", "9", ""}},
                         .validation_min = 1}};
  outcome.variables = {{.name = "region", .type = "string", .required = true}};
  outcome.resources = {{.transition = lifecycle::BuildTransition::kStop, .type = "t", .name = "n"}};
  outcome.readme = "# Hello";
  outcome.workspace_tags = {{"env", "gpu"}};
  REQUIRE_THAT(f.store.CompleteImport(f.ClaimOf(*job), outcome, {}, Ample()), IsOk());
  REQUIRE_THAT(f.store.CompleteImport(f.ClaimOf(*job), outcome, {}, Ample()), IsOk());
  const JobView view = f.View(job->id);
  CHECK(view.status == JobStatus::kSucceeded);
  CHECK(view.version == version);
  CHECK(view.tags.at("env") == "gpu");
  CHECK(f.world
            .Run("SELECT sealed_value = 'sealed' AND required FROM template_version_variables "
                 "WHERE name = 'region'")
            .Get<bool>(0, 0));
  CHECK(f.Events().empty());
}

}  // namespace
}  // namespace coder::storage
