#include "libs/lifecycle/new_build.h"

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

template <typename Some>
Some IdOf(uint8_t number) {
  ids::Uuid::Bytes bytes{};
  bytes[15] = number;
  return Some(ids::Uuid(bytes));
}

const auto kTemplate = IdOf<TemplateId>(1);
const auto kActive = IdOf<TemplateVersionId>(2);
const auto kOlder = IdOf<TemplateVersionId>(3);

// A stopped workspace, about to be built from the active version.
NewBuildContext Stopped(BuildTransition transition) {
  NewBuildContext context;
  context.request.transition = transition;
  context.template_facts = {.id = kTemplate, .active_version_id = kActive};
  context.version = {.id = kActive,
                     .template_id = kTemplate,
                     .name = "v2",
                     .import_status = JobStatus::kSucceeded};
  context.latest = LatestBuild{.number = 41,
                               .transition = BuildTransition::kStop,
                               .status = JobStatus::kSucceeded,
                               .version_id = kOlder};
  return context;
}

constexpr BuildTransition kAll[] = {BuildTransition::kStart, BuildTransition::kStop,
                                    BuildTransition::kDelete};

TEST_CASE("a build follows the latest one and carries its state") {
  for (BuildTransition transition : kAll) {
    const auto plan = CheckNewBuild(Stopped(transition));
    REQUIRE(plan.ok());
    CHECK(plan->build_number == 42);
    CHECK(plan->state == StateSource::kPrevious);
    CHECK_FALSE(plan->completes_at_once);
  }
  for (JobStatus status : {JobStatus::kSucceeded, JobStatus::kCanceled, JobStatus::kFailed}) {
    NewBuildContext context = Stopped(BuildTransition::kStart);
    context.latest->status = status;
    CHECK(CheckNewBuild(context).ok());
  }
}

TEST_CASE("a new workspace begins with a start, number 1 and no state") {
  NewBuildContext context = Stopped(BuildTransition::kStart);
  context.latest.reset();
  const auto plan = CheckNewBuild(context);
  REQUIRE(plan.ok());
  CHECK(plan->build_number == 1);
  CHECK(plan->state == StateSource::kEmpty);
}

TEST_CASE("what stands in the way of a build, for each transition") {
  using absl::StatusCode;
  constexpr auto kOk = StatusCode::kOk;
  constexpr auto kNo = StatusCode::kFailedPrecondition;
  struct Row {
    const char* name;
    std::function<void(NewBuildContext&)> change;
    const char* reason;
    StatusCode start, stop, del;
    const char* says;
  };
  const auto latest_is = [](JobStatus status) {
    return [status](NewBuildContext& c) { c.latest->status = status; };
  };
  const auto import_is = [](JobStatus status) {
    return [status](NewBuildContext& c) { c.version.import_status = status; };
  };
  const Row rows[] = {
      {"deleted", [](auto& c) { c.workspace.deleted = true; }, "WORKSPACE_DELETED", kNo, kNo, kNo,
       "the workspace is deleted"},
      {"latest pending", latest_is(JobStatus::kPending), "BUILD_ACTIVE", kNo, kNo, kNo,
       "build 41 is pending; cancel it or wait"},
      {"latest running", latest_is(JobStatus::kRunning), "BUILD_ACTIVE", kNo, kNo, kNo,
       "a workspace build is already active: build 41 is running; cancel it or wait"},
      {"latest canceling", latest_is(JobStatus::kCanceling), "BUILD_ACTIVE", kNo, kNo, kNo,
       "build 41 is canceling"},
      {"late state", [](auto& c) { c.latest->late_state_pending = true; }, "LATE_STATE", kNo, kNo,
       kNo, "adopt or dismiss it first"},
      {"never built", [](auto& c) { c.latest.reset(); }, "NO_BUILD", kOk, kNo, kNo,
       "the workspace was never built"},
      {"dormant", [](auto& c) { c.workspace.dormant = true; }, "WORKSPACE_DORMANT", kNo, kOk, kOk,
       "activate it first"},
      {"deprecated, built before", [](auto& c) { c.template_facts.deprecation_message = "use x"; },
       "", kOk, kOk, kOk, ""},
      {"deprecated, new",
       [](auto& c) {
         c.template_facts.deprecation_message = "use x";
         c.latest.reset();
         c.request.transition = BuildTransition::kStart;
       },
       "TEMPLATE_DEPRECATED", kNo, kNo, kNo, "deprecated (use x)"},
      {"of another template", [](auto& c) { c.version.template_id = IdOf<TemplateId>(9); },
       "VERSION_OF_OTHER_TEMPLATE", kNo, kNo, kNo, "does not belong to the workspace's template"},
      {"of no template", [](auto& c) { c.version.template_id.reset(); },
       "VERSION_OF_OTHER_TEMPLATE", kNo, kNo, kNo, "does not belong to the workspace's template"},
      {"import pending", import_is(JobStatus::kPending), "IMPORT_NOT_FINISHED", kNo, kNo, kNo,
       "\"v2\" is pending; wait for it to complete importing"},
      {"import running", import_is(JobStatus::kRunning), "IMPORT_NOT_FINISHED", kNo, kNo, kNo,
       "is running"},
      {"import canceling", import_is(JobStatus::kCanceling), "IMPORT_NOT_FINISHED", kNo, kNo, kNo,
       "is canceling"},
      {"import canceled", import_is(JobStatus::kCanceled), "IMPORT_CANCELED", kNo, kNo, kNo,
       "was canceled"},
      {"import failed",
       [](auto& c) {
         c.version.import_status = JobStatus::kFailed;
         c.version.import_error = "no main.tf";
       },
       "IMPORT_FAILED", kNo, kNo, kNo, "has failed to import: no main.tf"},
      {"archived", [](auto& c) { c.version.archived = true; }, "VERSION_ARCHIVED", kNo, kOk, kOk,
       "is archived"},
      {"not the required version",
       [](auto& c) {
         c.template_facts.require_active_version = true;
         c.version.id = kOlder;
       },
       "ACTIVE_VERSION_REQUIRED", StatusCode::kPermissionDenied, kOk, kOk, "leave the version out"},
      {"not the required version, but may update",
       [](auto& c) {
         c.template_facts.require_active_version = true;
         c.version.id = kOlder;
         c.may_update_template = true;
       },
       "", kOk, kOk, kOk, ""},
      {"the required version", [](auto& c) { c.template_facts.require_active_version = true; }, "",
       kOk, kOk, kOk, ""},
      {"orphan", [](auto& c) { c.request.orphan = true; }, "ORPHAN_FORBIDDEN",
       StatusCode::kInvalidArgument, StatusCode::kInvalidArgument, StatusCode::kPermissionDenied,
       "update the template"},
  };
  for (const Row& row : rows) {
    for (BuildTransition transition : kAll) {
      DYNAMIC_SECTION(row.name << ", " << std::string(ToString(transition))) {
        NewBuildContext context = Stopped(transition);
        row.change(context);
        const absl::Status status = CheckNewBuild(context).status();
        const StatusCode expected = transition == BuildTransition::kStart  ? row.start
                                    : transition == BuildTransition::kStop ? row.stop
                                                                           : row.del;
        INFO(status.ToString());
        REQUIRE(status.code() == expected);
        if (status.ok()) continue;
        if (expected == StatusCode::kInvalidArgument) {
          REQUIRE(status::FieldViolationsOf(status).size() == 1);
          CHECK(status::FieldViolationsOf(status)[0].field == "orphan");
          continue;
        }
        REQUIRE(status::ReasonOf(status));
        CHECK(status::ReasonOf(status)->reason == row.reason);
        CHECK(absl::StrContains(status.message(), row.says));
      }
    }
  }
}

TEST_CASE("an active build is named for programs too") {
  NewBuildContext context = Stopped(BuildTransition::kStop);
  context.latest->status = JobStatus::kRunning;
  const auto reason = status::ReasonOf(CheckNewBuild(context).status());
  REQUIRE(reason);
  CHECK(reason->metadata.at("build_number") == "41");
  CHECK(reason->metadata.at("status") == "running");
}

TEST_CASE("an orphan delete drops the state, and needs no provisioner") {
  NewBuildContext context = Stopped(BuildTransition::kDelete);
  context.request.orphan = true;
  context.may_update_template = true;
  CHECK(CheckNewBuild(context)->state == StateSource::kEmpty);
  CHECK_FALSE(CheckNewBuild(context)->completes_at_once);
  context.provisioner_available = false;
  CHECK(CheckNewBuild(context)->completes_at_once);
  context.request.orphan = false;
  CHECK_FALSE(CheckNewBuild(context)->completes_at_once);
}

TEST_CASE("parameters carry over and are checked") {
  NewBuildContext context = Stopped(BuildTransition::kStart);
  context.version.parameters = {{.name = "size", .is_mutable = false, .required = true}};
  CHECK(CheckNewBuild(context).status().code() == absl::StatusCode::kInvalidArgument);
  context.latest->parameters = {{"size", "s"}};
  CHECK((CheckNewBuild(context)->parameters == std::vector<NameValue>{{"size", "s"}}));
  context.request.parameters = {{"size", "m"}};
  CHECK(CheckNewBuild(context).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("which version a build runs") {
  const BuildRequest start{.transition = BuildTransition::kStart};
  const BuildRequest stop{.transition = BuildTransition::kStop};
  const auto given = IdOf<TemplateVersionId>(7);
  const BuildRequest asked{.transition = BuildTransition::kStart, .version_id = given};
  const TemplateFacts plain{.id = kTemplate, .active_version_id = kActive};
  TemplateFacts strict = plain;
  strict.require_active_version = true;
  const WorkspaceFacts stays;
  const WorkspaceFacts updates{.automatic_updates = AutomaticUpdates::kAlways};
  const std::optional<LatestBuild> latest = LatestBuild{.version_id = kOlder};
  CHECK(SelectVersion(start, stays, plain, latest) == kOlder);
  CHECK(SelectVersion(start, updates, plain, latest) == kActive);
  CHECK(SelectVersion(start, stays, strict, latest) == kActive);
  CHECK(SelectVersion(stop, updates, strict, latest) == kOlder);
  CHECK(SelectVersion(start, stays, plain, std::nullopt) == kActive);
  CHECK(SelectVersion(asked, updates, strict, latest) == given);
}

}  // namespace
}  // namespace coder::lifecycle
