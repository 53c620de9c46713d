#include <algorithm>
#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/pg/transaction.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_job_store.h"
#include "libs/storage/postgres/pg_job_view_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"
#include "protos/coder/events/v1/build_event.pb.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::JobId;
using lifecycle::JobStatus;
using testing::IsOk;
using testing::StatusIs;

constexpr absl::Duration kLease = absl::Seconds(30);

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

std::string ReasonOf(const absl::Status& status) {
  const auto reason = status::ReasonOf(status);
  return reason ? reason->reason : "";
}

// A world with one daemon, and the stores as the service's database role sees it.
struct Fixture {
  explicit Fixture(const Tags& daemon_tags = {}) {
    key = world.NewId<lifecycle::ProvisionerKeyId>();
    world.Run(
        "INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by) "
        "VALUES ($1, $2, 'key', sha256('secret'), $3)",
        {key.ToString(), world.organization.ToString(), world.owner.ToString()});
    terms = {
        RecordDaemon("daemon", daemon_tags), world.organization, {"echo"}, daemon_tags, kLease};
  }

  lifecycle::ProvisionerDaemonId RecordDaemon(const std::string& name, const Tags& tags = {}) {
    const auto id =
        store.RecordDaemon({world.organization, key, name, "1", {"echo"}, tags, 4}, Ample());
    REQUIRE_THAT(id, IsOk());
    return *id;
  }

  std::optional<AcquiredJob> Acquire() {
    auto job = store.AcquireJob(terms, Ample());
    REQUIRE_THAT(job, IsOk());
    return *std::move(job);
  }

  BuildId PendingBuild(const std::string& name, const std::string& transition = "start") {
    return world.AddBuild(world.AddWorkspace(name), transition);
  }

  LeaseClaim AcquiredClaim() {
    auto job = Acquire();
    REQUIRE(job);
    return ClaimOf(*job);
  }

  LeaseClaim ClaimOf(const AcquiredJob& job) const { return {job.id, job.token, job.organization}; }

  void Lapse(const JobId& job) {
    world.Run("UPDATE provisioner_jobs SET lease_expires_at = now() - interval '1 s' WHERE id = $1",
              {job.ToString()});
  }

  void RequestCancel(const JobId& job) {
    world.Run("UPDATE provisioner_jobs SET canceled_at = now() WHERE id = $1", {job.ToString()});
  }

  JobView View(const JobId& job) {
    auto view = views.GetJob(job, Ample());
    REQUIRE_THAT(view, IsOk());
    return *std::move(view);
  }

  // "running,succeeded": what the events say, oldest first.
  std::string Events() {
    std::string words;
    for (const auto row : world.Run("SELECT payload FROM outbox ORDER BY id")) {
      events::v1::BuildEventPack pack;
      REQUIRE(pack.ParseFromString(row.Get<pg::Bytea>("payload").bytes));
      for (const auto& event : pack.events()) {
        words += words.empty() ? "" : ",";
        words += event.kind() == events::v1::BUILD_EVENT_KIND_LATE_STATE_STORED
                     ? "late"
                     : events::v1::JobStatus_Name(event.job_status()).substr(11);
      }
    }
    return words;
  }

  MigratedDatabase database{20};
  SampleWorld world{database.pool()};
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
                 .max_connections = 10}};
  ids::UuidV7Generator ids{[] { return absl::UnixEpoch(); }, ids::SystemRandom()};
  PgJobStore store{pool, ids};
  PgJobViewStore views{pool};
  lifecycle::ProvisionerKeyId key;
  AcquireTerms terms;
};

TEST_CASE("an acquired build brings all that its runner needs, and its event") {
  Fixture f;
  const BuildId build = f.PendingBuild("dev");
  f.world.Run("INSERT INTO workspace_build_parameters VALUES ($1, 'size', '3')",
              {build.ToString()});
  f.world.Run(
      "INSERT INTO template_version_variables (template_version_id, name, sensitive, sealed_value) "
      "VALUES ($1, 'key', true, 'sealed')",
      {f.world.version.ToString()});
  const auto job = f.Acquire();
  REQUIRE(job);
  const auto& work = std::get<BuildWork>(job->work);
  CHECK(work.build == build);
  CHECK(work.workspace_name == "dev");
  CHECK(work.owner_username == "ada");
  CHECK(work.template_name == "go");
  CHECK(work.parameters == std::vector<NamedValue>{{"size", "3"}});
  REQUIRE(job->variables.size() == 1);
  CHECK(job->variables[0].sealed_value == "sealed");
  CHECK(job->source_sha256.size() == 64);
  CHECK(f.Events() == "RUNNING");
  CHECK_FALSE(f.Acquire());
}

TEST_CASE("many acquirers take each job once, in the order of the queue") {
  Fixture f;
  constexpr int kJobs = 200;
  for (int i = 0; i < kJobs; ++i) f.PendingBuild("ws" + std::to_string(i));
  std::mutex mutex;
  std::vector<JobId> taken;
  bool ordered = true;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        absl::Time last = absl::InfinitePast();
        while (true) {
          const auto job = f.store.AcquireJob(f.terms, Ample());
          const std::lock_guard lock(mutex);
          if (!job.ok() || !*job) {
            ordered = ordered && job.ok();
            return;
          }
          taken.push_back((*job)->id);
          ordered = ordered && (*job)->created_at >= last;
          last = (*job)->created_at;
        }
      });
    }
  }
  CHECK(ordered);
  CHECK(taken.size() == kJobs);
  CHECK(std::set<JobId>(taken.begin(), taken.end()).size() == kJobs);
  CHECK(f.world.Run("SELECT count(*) FROM outbox").Get<int64_t>(0, 0) == kJobs);
}

TEST_CASE("a job whose workspace somebody else holds is passed over, not waited for") {
  Fixture f;
  const auto held = f.world.AddWorkspace("held");
  f.world.AddBuild(held);
  const BuildId free = f.PendingBuild("free");
  auto connection = f.database.pool().Acquire(Ample());
  REQUIRE_THAT(connection, IsOk());
  pg::Transaction other(**connection, {.deadline = Ample()});
  REQUIRE_THAT(other.Execute("SELECT FROM workspaces WHERE id = $1 FOR UPDATE", {held.ToString()}),
               IsOk());
  const auto job = f.Acquire();
  REQUIRE(job);
  CHECK(std::get<BuildWork>(job->work).build == free);
}

TEST_CASE("tags decide which daemon may run which job") {
  const Tags plain = {{"scope", "organization"}, {"owner", ""}};
  const struct {
    const char* name;
    Tags job, daemon;
    bool matches;
  } rows[] = {
      {"nothing asked, nothing offered", {}, {}, true},
      {"the organization's scope is nothing", plain, {}, true},
      {"nothing asked, something offered", {}, {{"env", "gpu"}}, false},
      {"nothing asked, scope and more offered",
       plain,
       {{"scope", "organization"}, {"owner", ""}, {"env", "gpu"}},
       false},
      {"asked and offered", {{"env", "gpu"}}, {{"env", "gpu"}}, true},
      {"asked with scope and offered",
       {{"scope", "organization"}, {"owner", ""}, {"env", "gpu"}},
       {{"env", "gpu"}},
       true},
      {"more offered than asked", {{"env", "gpu"}}, {{"env", "gpu"}, {"zone", "a"}}, true},
      {"less offered than asked", {{"env", "gpu"}, {"zone", "a"}}, {{"env", "gpu"}}, false},
      {"another value", {{"env", "gpu"}}, {{"env", "cpu"}}, false},
      {"a person's job on the organization's daemon",
       {{"scope", "user"}, {"owner", "u"}},
       {},
       false},
      {"a person's job on that person's daemon",
       {{"scope", "user"}, {"owner", "u"}},
       {{"scope", "user"}, {"owner", "u"}},
       true},
  };
  MigratedDatabase database(2);
  for (const auto& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const auto json = [](const Tags& tags) {
        std::string text = "{";
        for (const auto& [k, v] : tags) {
          absl::StrAppend(&text, text.size() > 1 ? "," : "", "\"", k, "\":\"", v, "\"");
        }
        return text + "}";
      };
      const auto matched =
          database.pool().Execute("SELECT provisioner_tags_match($1::jsonb, $2::jsonb)",
                                  {json(row.daemon), json(row.job)}, Ample());
      REQUIRE_THAT(matched, IsOk());
      CHECK(matched->Get<bool>(0, 0) == row.matches);
    }
  }
}

TEST_CASE("a revoked key brings no job and shows at the next touch") {
  Fixture f;
  f.PendingBuild("dev");
  f.world.Run("UPDATE provisioner_keys SET revoked_at = now()");
  CHECK_FALSE(f.Acquire());
  const auto revoked = f.store.TouchDaemons({f.terms.daemon}, Ample());
  REQUIRE_THAT(revoked, IsOk());
  CHECK(*revoked == std::vector{f.terms.daemon});
  CHECK_THAT(
      f.store.RecordDaemon({f.world.organization, f.key, "new", "1", {"echo"}, {}, 1}, Ample()),
      StatusIs(absl::StatusCode::kPermissionDenied, "revoked"));
}

TEST_CASE("a released job is pending again at its place, and its old lease is void") {
  Fixture f;
  const BuildId first = f.PendingBuild("first");
  f.PendingBuild("second");
  const LeaseClaim claim = f.AcquiredClaim();
  REQUIRE_THAT(f.store.ReleaseJob(claim, Ample()), IsOk());
  CHECK(f.View(claim.job).status == JobStatus::kPending);
  CHECK(ReasonOf(f.store.Heartbeat(claim, kLease, Ample()).status()) == "LEASE_LOST");
  CHECK(ReasonOf(f.store.ReleaseJob(claim, Ample())) == "LEASE_LOST");
  const auto again = f.Acquire();
  REQUIRE(again);
  CHECK(std::get<BuildWork>(again->work).build == first);
  CHECK(f.Events() == "RUNNING,PENDING,RUNNING");

  SECTION("unless it was canceled meanwhile") {
    f.RequestCancel(again->id);
    REQUIRE_THAT(f.store.ReleaseJob(f.ClaimOf(*again), Ample()), IsOk());
    CHECK(f.View(again->id).status == JobStatus::kCanceled);
  }
}

TEST_CASE("a heartbeat renews the lease and brings the cancel") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  f.Lapse(claim.job);
  auto answer = f.store.Heartbeat(claim, kLease, Ample());
  REQUIRE_THAT(answer, IsOk());
  CHECK_FALSE(answer->cancel_requested);
  CHECK(f.store.ReapExpired(10, Ample()).value().empty());
  f.RequestCancel(claim.job);
  answer = f.store.Heartbeat(claim, kLease, Ample());
  REQUIRE_THAT(answer, IsOk());
  CHECK(answer->cancel_requested);

  LeaseClaim forged = claim;
  forged.token = f.world.NewId<lifecycle::LeaseToken>();
  CHECK(ReasonOf(f.store.Heartbeat(forged, kLease, Ample()).status()) == "LEASE_LOST");
  LeaseClaim foreign = claim;
  foreign.organization = f.world.NewId<lifecycle::OrganizationId>();
  CHECK(ReasonOf(f.store.Heartbeat(foreign, kLease, Ample()).status()) == "LEASE_LOST");
}

TEST_CASE("an expired lease ends the job with an event, an explanation and its state kept") {
  Fixture f;
  const BuildId build = f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  REQUIRE_THAT(f.store.StoreSealedState(claim, "kept", Ample()), IsOk());
  CHECK(f.store.ReapExpired(10, Ample()).value().empty());
  f.Lapse(claim.job);
  const auto reaped = f.store.ReapExpired(10, Ample());
  REQUIRE_THAT(reaped, IsOk());
  REQUIRE(reaped->size() == 1);
  CHECK(reaped->front().id == claim.job);
  const JobView view = f.View(claim.job);
  CHECK(view.status == JobStatus::kFailed);
  CHECK(view.error_code == "LEASE_EXPIRED");
  CHECK(f.views.ReadLogs(claim.job, 0, 100, Ample()).value().size() == 5);
  CHECK(f.Events() == "RUNNING,FAILED");

  CHECK(ReasonOf(f.store.CompleteBuild(claim, {}, {}, Ample())) == "LEASE_LOST");
  CHECK(ReasonOf(f.store.FailJob(claim, {"late"}, {}, Ample())) == "LEASE_LOST");
  const auto late = f.store.StoreSealedState(claim, "late bytes", Ample());
  REQUIRE_THAT(late, IsOk());
  CHECK(*late);
  CHECK(f.Events() == "RUNNING,FAILED,late");
  const auto row = f.world.Run(
      "SELECT sealed_state, late_state FROM workspace_builds WHERE id = $1", {build.ToString()});
  CHECK(row.Get<pg::Bytea>(0, 0).bytes == "kept");
  CHECK(row.Get<pg::Bytea>(0, 1).bytes == "late bytes");
}

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
  CHECK(ReasonOf(f.store.CompleteBuild(claim, {}, {}, Ample())) == "LEASE_LOST");
}

TEST_CASE("logs sent again are stored once, and a hole is refused") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  const auto line = [](const std::string& text) {
    return JobLogLine{.time = absl::FromUnixSeconds(1), .stage = "Planning", .output = text};
  };
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, {line("a"), line("b")}, Ample()), IsOk());
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, {line("a"), line("b")}, Ample()), IsOk());
  REQUIRE_THAT(f.store.AppendLogs(claim, 1, {line("b"), line("c")}, Ample()), IsOk());
  CHECK_THAT(f.store.AppendLogs(claim, 4, {line("e")}, Ample()),
             StatusIs(absl::StatusCode::kOutOfRange, "only 3"));
  std::string text;
  int64_t first = 0;
  const auto all = f.views.ReadLogs(claim.job, 0, 100, Ample()).value();
  for (const StoredLogLine& stored : all) {
    if (first == 0) first = stored.id;
    text += stored.line.output;
  }
  CHECK(text == "abc");
  CHECK(f.views.ReadLogs(claim.job, first, 100, Ample()).value().size() == 2);
}

TEST_CASE("output beyond the cap is dropped after one warning") {
  Fixture f;
  f.PendingBuild("dev");
  const LeaseClaim claim = f.AcquiredClaim();
  std::vector<JobLogLine> lines(1023, {.stage = "s", .output = std::string(1024, 'x')});
  REQUIRE_THAT(f.store.AppendLogs(claim, 0, lines, Ample()), IsOk());
  lines.resize(1);
  CHECK_FALSE(f.store.AppendLogs(claim, 1023, lines, Ample()).value().overflowed);
  CHECK(f.store.AppendLogs(claim, 1024, lines, Ample()).value().overflowed);
  CHECK(f.store.AppendLogs(claim, 1025, lines, Ample()).value().overflowed);
  const auto stored = f.views.ReadLogs(claim.job, 0, 2000, Ample()).value();
  REQUIRE(stored.size() == 1025);
  CHECK(stored.back().line.level == LogLevel::kWarn);
  CHECK(f.View(claim.job).logs_overflowed);
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

TEST_CASE("people see jobs a page at a time, daemons, and why a job waits") {
  Fixture f;
  for (int i = 0; i < 3; ++i) f.PendingBuild("ws" + std::to_string(i));
  const LeaseClaim claim = f.AcquiredClaim();
  const JobFilter all{f.world.organization, {}};
  const auto first = f.views.ListJobs(all, std::nullopt, 2, Ample());
  REQUIRE_THAT(first, IsOk());
  REQUIRE(first->size() == 2);
  CHECK(first->front().matching_provisioners == 1);
  const auto rest =
      f.views.ListJobs(all, JobPageKey{first->back().created_at, first->back().id}, 10, Ample());
  CHECK(rest.value().size() == 2);
  const auto running =
      f.views.ListJobs({f.world.organization, {JobStatus::kRunning}}, std::nullopt, 10, Ample());
  REQUIRE(running.value().size() == 1);
  CHECK(running->front().id == claim.job);
  CHECK(running->front().worker_name == "daemon");
  const auto daemons = f.views.ListDaemons(f.world.organization, Ample());
  REQUIRE(daemons.value().size() == 1);
  CHECK(daemons->front().running_jobs == 1);
  CHECK(daemons->front().online);
  CHECK(f.views.CountJobs(Ample()).value().size() == 2);
  CHECK_THAT(f.views.GetJob(f.world.NewId<JobId>(), Ample()),
             StatusIs(absl::StatusCode::kNotFound));
  CHECK_THAT(f.store.CheckWritable(Ample()), IsOk());
}

}  // namespace
}  // namespace coder::storage
