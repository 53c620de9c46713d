#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <thread>

#include "coder/events/v1/build_event.pb.h"
#include "libs/lifecycle/job_state.h"
#include "libs/status/error_reason.h"
#include "libs/storage/postgres/pg_build_store.h"
#include "libs/storage/postgres/testing/migrated_database.h"
#include "libs/storage/postgres/testing/sample_world.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using absl::StatusCode;
using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;
using lifecycle::BuildId;
using lifecycle::BuildReason;
using lifecycle::BuildTransition;
using lifecycle::JobStatus;
using lifecycle::NameValue;
using lifecycle::WorkspaceId;

clock::Deadline Ample() { return clock::Deadline::After(absl::Minutes(1)); }

struct Fixture {
  MigratedDatabase database;
  SampleWorld world{database.pool()};
  // The role the API has in production, so that a missing grant shows.
  pg::Pool pool{{.connect = {.conninfo = database.conninfo() + " options='-c role=coder_api'",
                             .application_name = "test"},
                 .max_connections = 20}};
  ids::UuidV7Generator ids{[] { return absl::FromChrono(std::chrono::system_clock::now()); },
                           ids::SystemRandom()};
  PgBuildStore store{pool, ids};

  BuildOrder Order(const WorkspaceId& workspace,
                   BuildTransition transition = BuildTransition::kStart) {
    return {.workspace = workspace, .initiator = world.owner, .transition = transition};
  }

  absl::StatusOr<BuildRecord> Create(const WorkspaceId& workspace,
                                     BuildTransition transition = BuildTransition::kStart) {
    return store.Create(Order(workspace, transition), Ample());
  }

  // A workspace whose only build, a start, succeeded.
  WorkspaceId Running(const std::string& name) {
    const WorkspaceId workspace = world.AddWorkspace(name);
    const auto build = Create(workspace);
    REQUIRE_THAT(build, IsOk());
    world.MoveJob(build->id, "succeeded");
    return workspace;
  }

  // The statuses of a workspace's events in order, after a check that its versions are dense.
  std::vector<events::v1::JobStatus> Events(const WorkspaceId& workspace) {
    std::vector<events::v1::JobStatus> statuses;
    for (const auto row : world.Run("SELECT payload FROM outbox WHERE workspace_id = $1 "
                                    "ORDER BY id",
                                    {workspace.ToString()})) {
      events::v1::BuildEventPack pack;
      REQUIRE(pack.ParseFromString(row.Get<pg::Bytea>(0).bytes));
      statuses.push_back(pack.events(0).job_status());
      CHECK(pack.events(0).workspace_version() == static_cast<int64_t>(statuses.size()));
    }
    return statuses;
  }

  void AddParameter(const std::string& name, const std::string& type, bool is_mutable,
                    bool required, const std::string& default_value = "") {
    world.Run(
        "INSERT INTO template_version_parameters (template_version_id, name, type, mutable, "
        "required, default_value) VALUES ($1, $2, $3, $4, $5, $6)",
        {world.version.ToString(), name, type, is_mutable, required, default_value});
  }

  void AddDaemon(const std::string& age) {
    world.Run(
        "INSERT INTO provisioner_keys (id, organization_id, name, hashed_secret, created_by) "
        "VALUES ($1, $2, 'k', sha256('k'), $3)",
        {ids.Next().ToString(), world.organization.ToString(), world.owner.ToString()});
    world.Run(
        "INSERT INTO provisioner_daemons (id, organization_id, key_id, name, provisioners, "
        "tags, slots, last_seen_at) SELECT $1, organization_id, id, 'd', '{echo}', '{}', 1, "
        "now() - $2::interval FROM provisioner_keys",
        {ids.Next().ToString(), age});
  }
};

std::string ReasonOf(const absl::StatusOr<BuildRecord>& result) {
  const auto reason = status::ReasonOf(result.status());
  return reason ? reason->reason : "";
}

TEST_CASE("a build is queued with its job, parameters and event") {
  Fixture f;
  f.AddParameter("region", "string", true, false, "eu");
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  BuildOrder order = f.Order(workspace);
  order.parameters = {{"region", "us"}};
  order.reason = BuildReason::kCli;
  const auto build = f.store.Create(order, Ample());
  REQUIRE_THAT(build, IsOk());
  CHECK(build->number == 1);
  CHECK(build->workspace == workspace);
  CHECK(build->workspace_name == "dev");
  CHECK(build->owner_name == "ada");
  CHECK(build->initiator_name == "ada");
  CHECK(build->version == f.world.version);
  CHECK(build->version_name == "v1");
  CHECK(build->reason == BuildReason::kCli);
  CHECK(build->job.status == JobStatus::kPending);
  CHECK(build->job.provisioner == "echo");
  CHECK(build->job.tags == Tags{{"scope", "organization"}, {"owner", ""}});
  CHECK(build->job.matching_provisioners == 0);
  CHECK(f.store.ListParameters(build->id, Ample()).value() ==
        std::vector<NameValue>{{"region", "us"}});
  CHECK(f.Events(workspace) == std::vector{events::v1::JOB_STATUS_PENDING});
  CHECK(f.world.Run("SELECT 1 FROM workspaces WHERE latest_build_id = $1", {build->id.ToString()})
            .rows() == 1);
}

TEST_CASE("a job asks for its workspace's owner where the scope is a user's") {
  Fixture f;
  f.world.Run(
      "UPDATE provisioner_jobs SET tags = '{\"scope\": \"user\", \"owner\": \"x\", "
      "\"gpu\": \"yes\"}'");
  const auto build = f.Create(f.world.AddWorkspace("dev", f.world.other));
  REQUIRE_THAT(build, IsOk());
  CHECK(build->job.tags ==
        Tags{{"scope", "user"}, {"owner", f.world.other.ToString()}, {"gpu", "yes"}});
}

TEST_CASE("builds nobody waits for stand ten minutes behind") {
  Fixture f;
  const auto human = f.Create(f.world.AddWorkspace("human"));
  BuildOrder order = f.Order(f.world.AddWorkspace("clock"));
  order.reason = BuildReason::kAutostart;
  const auto scheduled = f.store.Create(order, Ample());
  const auto lead = [&](const absl::StatusOr<BuildRecord>& build) {
    return f.world
        .Run("SELECT queue_at - created_at FROM provisioner_jobs WHERE id = $1",
             {build->job.id.ToString()})
        .Get<absl::Duration>(0, 0);
  };
  CHECK(lead(human) == absl::ZeroDuration());
  CHECK(lead(scheduled) == absl::Minutes(10));
}

TEST_CASE("the next build starts from the state the last one left") {
  Fixture f;
  const WorkspaceId workspace = f.Running("dev");
  f.world.Run("UPDATE workspace_builds SET sealed_state = 'sealed' WHERE build_number = 1");
  const auto stop = f.Create(workspace, BuildTransition::kStop);
  REQUIRE_THAT(stop, IsOk());
  CHECK(stop->number == 2);
  CHECK(f.world.Run("SELECT sealed_state FROM workspace_builds WHERE build_number = 2")
            .Get<pg::Bytea>(0, 0)
            .bytes == "sealed");
}

TEST_CASE("an active build refuses another and says which it is") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  const auto first = f.Create(workspace);
  f.world.MoveJob(first->id, "running");
  const auto refused = f.Create(workspace, BuildTransition::kStop);
  CHECK_THAT(refused, StatusIs(StatusCode::kFailedPrecondition, "build 1 is running"));
  const auto reason = status::ReasonOf(refused.status());
  CHECK(reason->reason == "BUILD_ACTIVE");
  CHECK(reason->metadata.at("build_number") == "1");
  CHECK(reason->metadata.at("status") == "running");
}

TEST_CASE("each refusal has its reason") {
  Fixture f;
  const WorkspaceId workspace = f.Running("dev");
  BuildOrder order = f.Order(workspace);
  SECTION("dormant") {
    f.world.Run("UPDATE workspaces SET dormant_at = now()");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "WORKSPACE_DORMANT");
  }
  SECTION("deleted") {
    f.world.Run("UPDATE workspaces SET deleted_at = now()");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "WORKSPACE_DELETED");
  }
  SECTION("late state") {
    f.world.Run("UPDATE workspace_builds SET late_state = 's', late_state_at = now()");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "LATE_STATE");
  }
  SECTION("import pending") {
    order.version = f.world.AddVersion("v2", "pending");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "IMPORT_NOT_FINISHED");
  }
  SECTION("import failed") {
    order.version = f.world.AddVersion("v2", "failed");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "IMPORT_FAILED");
  }
  SECTION("archived") {
    order.version = f.world.AddVersion("v2");
    f.world.Run("UPDATE template_versions SET archived_at = now() WHERE name = 'v2'");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "VERSION_ARCHIVED");
  }
  SECTION("version of another template") {
    order.version = f.world.AddVersion("v2");
    f.world.Run("UPDATE template_versions SET template_id = NULL WHERE name = 'v2'");
    CHECK(ReasonOf(f.store.Create(order, Ample())) == "VERSION_OF_OTHER_TEMPLATE");
  }
  SECTION("unknown version") {
    order.version = f.world.NewId<lifecycle::TemplateVersionId>();
    CHECK_THAT(f.store.Create(order, Ample()), StatusIs(StatusCode::kNotFound));
  }
  SECTION("unknown workspace") {
    order.workspace = f.world.NewId<WorkspaceId>();
    CHECK_THAT(f.store.Create(order, Ample()), StatusIs(StatusCode::kNotFound));
  }
  CHECK(f.Events(workspace).size() == 1);
}

TEST_CASE("bad parameters are named each by its field") {
  Fixture f;
  f.AddParameter("size", "number", true, true);
  f.AddParameter("zone", "string", false, false, "a");
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  BuildOrder order = f.Order(workspace);
  const auto missing = f.store.Create(order, Ample());
  CHECK_THAT(missing, StatusIs(StatusCode::kInvalidArgument));
  CHECK(status::FieldViolationsOf(missing.status()).at(0).field == "parameters[size]");
  order.parameters = {{"size", "big"}};
  CHECK_THAT(f.store.Create(order, Ample()), StatusIs(StatusCode::kInvalidArgument, "size"));
  order.parameters = {{"size", "1"}, {"color", "red"}};
  CHECK_THAT(f.store.Create(order, Ample()), StatusIs(StatusCode::kInvalidArgument, "color"));
  order.parameters = {{"size", "1"}};
  const auto first = f.store.Create(order, Ample());
  REQUIRE_THAT(first, IsOk());
  f.world.MoveJob(first->id, "succeeded");
  order.parameters = {{"zone", "b"}};
  const auto changed = f.store.Create(order, Ample());
  CHECK_THAT(changed, StatusIs(StatusCode::kInvalidArgument, "zone"));
  order.parameters = {};
  const auto kept = f.store.Create(order, Ample());
  REQUIRE_THAT(kept, IsOk());
  CHECK(f.store.ListParameters(kept->id, Ample()).value() ==
        std::vector<NameValue>{{"size", "1"}, {"zone", "a"}});
}

TEST_CASE("an orphan delete is done at once when nobody could run it") {
  Fixture f;
  const WorkspaceId workspace = f.Running("dev");
  f.world.Run("UPDATE workspace_builds SET sealed_state = 'sealed'");
  BuildOrder order = f.Order(workspace, BuildTransition::kDelete);
  order.orphan = true;
  CHECK(ReasonOf(f.store.Create(order, Ample())) == "ORPHAN_FORBIDDEN");
  order.may_update_template = true;
  const auto state_of_second = [&] {
    return f.world.Run("SELECT sealed_state FROM workspace_builds WHERE build_number = 2")
        .Get<std::optional<pg::Bytea>>(0, 0);
  };
  SECTION("no provisioner") {
    const auto build = f.store.Create(order, Ample());
    REQUIRE_THAT(build, IsOk());
    CHECK(build->job.status == JobStatus::kSucceeded);
    CHECK(f.world.Run("SELECT 1 FROM workspaces WHERE deleted_at IS NOT NULL").rows() == 1);
    CHECK(f.Events(workspace).back() == events::v1::JOB_STATUS_SUCCEEDED);
    CHECK_FALSE(state_of_second());
  }
  SECTION("a provisioner not seen for 91 s") {
    f.AddDaemon("91 seconds");
    CHECK(f.store.Create(order, Ample())->job.status == JobStatus::kSucceeded);
  }
  SECTION("a provisioner that is there") {
    f.AddDaemon("1 second");
    const auto build = f.store.Create(order, Ample());
    REQUIRE_THAT(build, IsOk());
    CHECK(build->job.status == JobStatus::kPending);
    CHECK(build->job.matching_provisioners == 1);
    CHECK_FALSE(state_of_second());
    CHECK(f.world.Run("SELECT 1 FROM workspaces WHERE deleted_at IS NOT NULL").rows() == 0);
  }
}

TEST_CASE("the same request again is one build") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  BuildOrder order = f.Order(workspace);
  order.request = RequestKey{
      .caller = "user:ada", .method = "/x", .request_id = f.ids.Next(), .request = "start"};
  const auto first = f.store.Create(order, Ample());
  const auto again = f.store.Create(order, Ample());
  REQUIRE_THAT(again, IsOk());
  CHECK(first->id == again->id);
  CHECK(f.Events(workspace).size() == 1);
  order.request->request = "stop";
  CHECK(ReasonOf(f.store.Create(order, Ample())) == "REQUEST_ID_REUSED");
}

TEST_CASE("a pending build is canceled at once and a running one asked to stop") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  const auto first = f.Create(workspace);
  CHECK(ReasonOf(f.store.Cancel(first->id, JobStatus::kRunning, Ample())) == "STATUS_MISMATCH");
  const auto canceled = f.store.Cancel(first->id, JobStatus::kPending, Ample());
  REQUIRE_THAT(canceled, IsOk());
  CHECK(canceled->job.status == JobStatus::kCanceled);
  CHECK(ReasonOf(f.store.Cancel(first->id, std::nullopt, Ample())) == "JOB_COMPLETED");

  const auto second = f.Create(workspace);
  f.world.MoveJob(second->id, "running");
  const auto canceling = f.store.Cancel(second->id, std::nullopt, Ample());
  REQUIRE_THAT(canceling, IsOk());
  CHECK(canceling->job.status == JobStatus::kCanceling);
  CHECK(ReasonOf(f.store.Cancel(second->id, std::nullopt, Ample())) == "JOB_CANCELED");
  CHECK(f.Events(workspace) ==
        std::vector{events::v1::JOB_STATUS_PENDING, events::v1::JOB_STATUS_CANCELED,
                    events::v1::JOB_STATUS_PENDING, events::v1::JOB_STATUS_CANCELING});
  CHECK_THAT(f.store.Cancel(f.world.NewId<BuildId>(), std::nullopt, Ample()),
             StatusIs(StatusCode::kNotFound));
}

TEST_CASE("a late state is adopted or dismissed once") {
  Fixture f;
  const WorkspaceId workspace = f.Running("dev");
  const BuildId build = f.store.GetByNumber(workspace, 1, Ample())->id;
  const auto resolve = [&](bool adopt) { return f.store.ResolveLateState(build, adopt, Ample()); };
  CHECK(ReasonOf(resolve(true)) == "NO_LATE_STATE");
  f.world.Run(
      "UPDATE workspace_builds SET sealed_state = 'old', late_state = 'late', "
      "late_state_at = now()");
  CHECK(f.store.Get(build, Ample())->late_state_pending);
  const bool adopt = GENERATE(true, false);
  const auto resolved = resolve(adopt);
  REQUIRE_THAT(resolved, IsOk());
  CHECK_FALSE(resolved->late_state_pending);
  CHECK(f.world.Run("SELECT sealed_state FROM workspace_builds").Get<pg::Bytea>(0, 0).bytes ==
        (adopt ? "late" : "old"));
  CHECK(ReasonOf(resolve(adopt)) == "NO_LATE_STATE");
  CHECK(f.Events(workspace).size() == 2);
  CHECK_THAT(f.Create(workspace, BuildTransition::kStop), IsOk());
  f.world.Run(
      "UPDATE workspace_builds SET late_state = 'later', late_state_at = now(), "
      "late_state_resolution = NULL WHERE build_number = 1");
  CHECK(ReasonOf(resolve(adopt)) == "BUILD_ACTIVE");
}

TEST_CASE("pages hold every build once, the newest first") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  for (int i = 0; i < 5; ++i) f.world.AddBuild(workspace);
  std::vector<int> numbers;
  std::optional<int32_t> below;
  while (true) {
    const auto page = f.store.List(workspace, below, 2, Ample());
    REQUIRE_THAT(page, IsOk());
    if (page->empty()) break;
    for (const BuildRecord& build : *page) numbers.push_back(build.number);
    below = page->back().number;
  }
  CHECK(numbers == std::vector{5, 4, 3, 2, 1});
}

TEST_CASE("what the engine made is read in one piece") {
  Fixture f;
  const auto build = f.Create(f.world.AddWorkspace("dev"));
  f.world.Run(
      "INSERT INTO workspace_resources (id, job_id, transition, type, name, metadata) "
      "VALUES ('11111111-1111-4111-8111-111111111111', $1, 'start', 'vm', 'main', "
      "'[{\"key\": \"ip\", \"value\": \"1.2.3.4\"}, "
      "{\"key\": \"pw\", \"value\": \"\", \"sensitive\": true}]')",
      {build->job.id.ToString()});
  f.world.Run(
      "INSERT INTO workspace_agents (id, resource_id, name, operating_system, "
      "architecture) VALUES ('22222222-2222-4222-8222-222222222222', "
      "'11111111-1111-4111-8111-111111111111', 'main', 'linux', 'amd64')");
  f.world.Run(
      "INSERT INTO workspace_apps (agent_id, slug) VALUES "
      "('22222222-2222-4222-8222-222222222222', 'ide')");
  const auto resources = f.store.ListResources(build->job.id, Ample());
  REQUIRE_THAT(resources, IsOk());
  REQUIRE(resources->size() == 1);
  const ResourceView& resource = resources->at(0);
  CHECK(resource.resource.type == "vm");
  REQUIRE(resource.resource.metadata.size() == 2);
  CHECK(resource.resource.metadata[0].value == "1.2.3.4");
  CHECK(resource.resource.metadata[1].value.empty());
  CHECK(resource.resource.metadata[1].sensitive);
  REQUIRE(resource.agents.size() == 1);
  REQUIRE(resource.agents[0].agent.apps.size() == 1);
  CHECK(resource.agents[0].agent.apps[0].slug == "ide");
}

TEST_CASE("of builds asked for at the same moment exactly one is made") {
  Fixture f;
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  constexpr int kThreads = 16;
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> made = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const auto build = f.Create(workspace);
        made += build.ok();
        refused += ReasonOf(build) == "BUILD_ACTIVE";
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(made == 1);
    CHECK(refused == kThreads - 1);
    CHECK(f.Events(workspace).size() == static_cast<size_t>(round + 1));
    f.world.MoveJob(f.store.GetByNumber(workspace, round + 1, Ample())->id, "succeeded");
  }
}

// What the store should do, in a few lines.
struct Model {
  int builds = 0;
  size_t events = 0;
  lifecycle::JobState job;

  bool Create() {
    if (builds > 0 && !lifecycle::IsFinal(lifecycle::StatusOf(job))) return false;
    ++builds;
    ++events;
    job = {};
    return true;
  }

  bool Cancel(absl::Time now) {
    if (builds == 0) return false;
    const auto next = lifecycle::Step(job, lifecycle::RequestCancel{}, now);
    if (!next.ok()) return false;
    job = *next;
    ++events;
    return true;
  }
};

TEST_CASE("random histories end where the model does") {
  Fixture f;
  const unsigned seed = GENERATE(1u, 2u, 3u);
  std::mt19937 random(seed);
  const WorkspaceId workspace = f.world.AddWorkspace("dev");
  Model model;
  BuildId latest;
  const absl::Time now = absl::UnixEpoch();
  for (int step = 0; step < 60; ++step) {
    CAPTURE(seed, step);
    const bool exists = model.builds > 0;
    switch (random() % 4) {
      case 0: {
        const auto build = f.Create(workspace);
        CHECK(build.ok() == model.Create());
        if (build.ok()) latest = build->id;
        break;
      }
      case 1:
        CHECK(f.store.Cancel(latest, std::nullopt, Ample()).ok() == model.Cancel(now));
        break;
      case 2:
        if (exists && lifecycle::StatusOf(model.job) == JobStatus::kPending) {
          f.world.MoveJob(latest, "running");
          model.job.started_at = now;
        }
        break;
      case 3:
        if (exists && model.job.started_at && !model.job.completed_at) {
          const bool failed = random() % 2 == 0;
          f.world.MoveJob(latest, failed ? "failed" : "succeeded");
          model.job.completed_at = now;
          if (failed) model.job.error = "apply: out of disk";
          if (!failed) model.job.canceled_at.reset();
        }
        break;
    }
    if (model.builds == 0) continue;
    const auto build = f.store.Get(latest, Ample());
    REQUIRE_THAT(build, IsOk());
    CHECK(build->number == model.builds);
    CHECK(build->job.status == lifecycle::StatusOf(model.job));
  }
  CHECK(f.Events(workspace).size() == model.events);
}

}  // namespace
}  // namespace coder::storage
