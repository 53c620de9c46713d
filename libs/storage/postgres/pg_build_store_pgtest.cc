#include <catch2/catch.hpp>

#include "libs/storage/postgres/build_store_fixture.h"

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

using Fixture = BuildStoreFixture;

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
    f.world.AddDaemon(absl::Seconds(91));
    CHECK(f.store.Create(order, Ample())->job.status == JobStatus::kSucceeded);
  }
  SECTION("a provisioner that is there") {
    f.world.AddDaemon(absl::Seconds(1));
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

}  // namespace
}  // namespace coder::storage
