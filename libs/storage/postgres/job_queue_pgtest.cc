#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/pg/transaction.h"
#include "libs/storage/postgres/job_store_fixture.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::JobId;
using lifecycle::JobStatus;
using testing::IsOk;
using testing::StatusIs;
using Fixture = JobStoreFixture;

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
      threads.emplace_back([&, t] {
        AcquireTerms terms = f.terms;
        terms.daemons.resize(t % 3 + 1, f.terms.daemons.front());
        absl::Time last = absl::InfinitePast();
        while (true) {
          const auto jobs = f.store.AcquireJobs(terms, Ample());
          const std::lock_guard lock(mutex);
          if (!jobs.ok() || jobs->empty()) {
            ordered = ordered && jobs.ok();
            return;
          }
          for (const AcquiredJob& job : *jobs) {
            taken.push_back(job.id);
            ordered = ordered && job.created_at >= last;
            last = job.created_at;
          }
        }
      });
    }
  }
  CHECK(ordered);
  CHECK(taken.size() == kJobs);
  CHECK(std::set<JobId>(taken.begin(), taken.end()).size() == kJobs);
  CHECK(f.world.Run("SELECT count(*) FROM outbox").Get<int64_t>(0, 0) == kJobs);
}

// A commit that is on disk and waits for a standby that does not exist; its session ends in the
// wait.
struct CommitWithoutAnswer {
  CommitWithoutAnswer() { Standby("'nobody'"); }
  ~CommitWithoutAnswer() { Standby("''"); }

  void Standby(const std::string& names) {
    f.world.Run("ALTER SYSTEM SET synchronous_standby_names = " + names);
    f.world.Run("SELECT pg_reload_conf()");
  }

  // Ends the session once it waits.
  void EndWaiting() {
    const std::string waiting =
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = "
        "current_database()";
    pg::Result pids = f.world.Run(waiting);
    while (pids.empty()) pids = f.world.Run(waiting);
    f.world.Run("SELECT pg_terminate_backend($1, 10000)", {pids.Get<int32_t>(0, 0)});
    Standby("''");
  }

  Fixture f;
  BuildId build = f.PendingBuild("dev");
  pg::Pool pool{{.connect = {.conninfo = f.database.conninfo() +
                                         " options='-c role=coder_api -c synchronous_commit=on'",
                             .application_name = "test"},
                 .max_connections = 2}};
  PgJobStore store{pool, f.ids};
};

TEST_CASE("a job whose commit was not answered for is handed out all the same") {
  CommitWithoutAnswer c;
  std::jthread ends([&c] { c.EndWaiting(); });
  const auto jobs = c.store.AcquireJobs(c.f.terms, Ample());
  REQUIRE_THAT(jobs, IsOk());
  REQUIRE(jobs->size() == 1);
  CHECK(std::get<BuildWork>(jobs->front().work).build == c.build);
  CHECK(c.f.View(jobs->front().id).status == JobStatus::kRunning);
  CHECK_THAT(c.store.Heartbeat(c.f.ClaimOf(jobs->front()), kLease, Ample()), IsOk());
}

TEST_CASE("a job whose commit failed with its session waits on") {
  Fixture f;
  const BuildId build = f.PendingBuild("dev");
  // A deferred trigger runs inside COMMIT and ends its own session.
  f.world.Run(
      "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
      "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$");
  f.world.Run(
      "CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON provisioner_jobs DEFERRABLE INITIALLY "
      "DEFERRED FOR EACH ROW EXECUTE FUNCTION die()");
  CHECK_THAT(f.store.AcquireJobs(f.terms, Ample()), StatusIs(absl::StatusCode::kUnavailable));
  f.world.Run("DROP TRIGGER die ON provisioner_jobs");
  const auto job = f.Acquire();
  REQUIRE(job);
  CHECK(std::get<BuildWork>(job->work).build == build);
}

TEST_CASE("several places are served at once, in the order of queue and places") {
  Fixture f;
  const BuildId first = f.PendingBuild("first");
  const BuildId second = f.PendingBuild("second");
  const BuildId third = f.PendingBuild("third");
  f.world.Run("INSERT INTO workspace_build_parameters VALUES ($1, 'size', '1'), ($2, 'size', '2')",
              {first.ToString(), second.ToString()});
  AcquireTerms terms = f.terms;
  const auto other = f.RecordDaemon("other");
  terms.daemons.push_back(other);
  const auto jobs = f.store.AcquireJobs(terms, Ample());
  REQUIRE_THAT(jobs, IsOk());
  REQUIRE(jobs->size() == 2);
  const BuildId expected[] = {first, second};
  for (size_t i = 0; i < 2; ++i) {
    const AcquiredJob& job = (*jobs)[i];
    const auto& work = std::get<BuildWork>(job.work);
    CHECK(job.place == i);
    CHECK(work.build == expected[i]);
    CHECK(work.parameters == std::vector<NamedValue>{{"size", std::to_string(i + 1)}});
    CHECK(f.world.Run("SELECT worker_id FROM provisioner_jobs WHERE id = $1", {job.id.ToString()})
              .Get<std::string>(0, 0) == terms.daemons[i].ToString());
  }
  CHECK(f.Events() == "RUNNING,RUNNING");
  // What nobody had a place for is free.
  const auto last = f.Acquire();
  REQUIRE(last);
  CHECK(std::get<BuildWork>(last->work).build == third);
}

TEST_CASE("a place under a revoked key stays empty, the others do not") {
  Fixture f;
  const auto revoked = f.terms.daemons.front();
  f.world.Run("UPDATE provisioner_keys SET revoked_at = now()");
  f.key = f.world.identities.AddProvisionerKey(auth::GenerateProvisionerKey().secret_hash,
                                               f.world.organization, f.world.owner);
  f.terms.daemons = {revoked, f.RecordDaemon("other")};
  f.PendingBuild("first");
  f.PendingBuild("second");
  const auto jobs = f.store.AcquireJobs(f.terms, Ample());
  REQUIRE_THAT(jobs, IsOk());
  REQUIRE(jobs->size() == 1);
  CHECK(jobs->front().place == 1);
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
  const auto revoked = f.store.TouchDaemons(f.terms.daemons, Ample());
  REQUIRE_THAT(revoked, IsOk());
  CHECK(*revoked == f.terms.daemons);
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

  CHECK(ReasonOf(f.store.CompleteBuild(claim, {}, {}, Ample()).status()) == "LEASE_LOST");
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

}  // namespace
}  // namespace coder::storage
