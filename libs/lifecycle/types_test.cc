#include "libs/lifecycle/types.h"

#include <catch2/catch.hpp>
#include <map>

#include "absl/container/flat_hash_set.h"
#include "libs/lifecycle/ids.h"

namespace coder::lifecycle {
namespace {

template <typename Enum, typename Parse>
void CheckWords(const std::map<Enum, std::string>& words, Parse parse) {
  for (const auto& [value, word] : words) {
    CAPTURE(word);
    CHECK(std::string(ToString(value)) == word);
    const auto parsed = parse(word);
    REQUIRE(parsed.ok());
    CHECK(*parsed == value);
  }
  for (const char* wrong : {"", "START", "unknown", " start"}) {
    CHECK(parse(wrong).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("every value has the word it is stored and printed by") {
  CheckWords<BuildTransition>({{BuildTransition::kStart, "start"},
                               {BuildTransition::kStop, "stop"},
                               {BuildTransition::kDelete, "delete"}},
                              ParseBuildTransition);
  CheckWords<JobStatus>({{JobStatus::kPending, "pending"},
                         {JobStatus::kRunning, "running"},
                         {JobStatus::kSucceeded, "succeeded"},
                         {JobStatus::kCanceling, "canceling"},
                         {JobStatus::kCanceled, "canceled"},
                         {JobStatus::kFailed, "failed"}},
                        ParseJobStatus);
  CheckWords<BuildReason>({{BuildReason::kInitiator, "initiator"},
                           {BuildReason::kAutostart, "autostart"},
                           {BuildReason::kAutostop, "autostop"},
                           {BuildReason::kDormancy, "dormancy"},
                           {BuildReason::kFailedStop, "failedstop"},
                           {BuildReason::kAutodelete, "autodelete"},
                           {BuildReason::kDashboard, "dashboard"},
                           {BuildReason::kCli, "cli"},
                           {BuildReason::kSshConnection, "ssh_connection"},
                           {BuildReason::kVscodeConnection, "vscode_connection"},
                           {BuildReason::kJetbrainsConnection, "jetbrains_connection"}},
                          ParseBuildReason);
  CheckWords<JobType>({{JobType::kTemplateVersionImport, "template_version_import"},
                       {JobType::kWorkspaceBuild, "workspace_build"},
                       {JobType::kTemplateVersionDryRun, "template_version_dry_run"}},
                      ParseJobType);
  CheckWords<WorkspaceStatus>({{WorkspaceStatus::kPending, "pending"},
                               {WorkspaceStatus::kStarting, "starting"},
                               {WorkspaceStatus::kRunning, "running"},
                               {WorkspaceStatus::kStopping, "stopping"},
                               {WorkspaceStatus::kStopped, "stopped"},
                               {WorkspaceStatus::kFailed, "failed"},
                               {WorkspaceStatus::kCanceling, "canceling"},
                               {WorkspaceStatus::kCanceled, "canceled"},
                               {WorkspaceStatus::kDeleting, "deleting"},
                               {WorkspaceStatus::kDeleted, "deleted"}},
                              ParseWorkspaceStatus);
  CheckWords<UserStatus>({{UserStatus::kActive, "active"},
                          {UserStatus::kDormant, "dormant"},
                          {UserStatus::kSuspended, "suspended"}},
                         ParseUserStatus);
  CheckWords<AutomaticUpdates>(
      {{AutomaticUpdates::kAlways, "always"}, {AutomaticUpdates::kNever, "never"}},
      ParseAutomaticUpdates);
  CHECK(std::string(ParseBuildTransition("begin").status().message()) ==
        "parse build transition: \"begin\" is not known; use one of: start, stop, delete");
}

TEST_CASE("a workspace's status follows its latest build's transition and job") {
  struct Row {
    JobStatus job;
    WorkspaceStatus start, stop, del;
  };
  using W = WorkspaceStatus;
  const Row rows[] = {
      {JobStatus::kPending, W::kPending, W::kPending, W::kPending},
      {JobStatus::kRunning, W::kStarting, W::kStopping, W::kDeleting},
      {JobStatus::kSucceeded, W::kRunning, W::kStopped, W::kDeleted},
      {JobStatus::kCanceling, W::kCanceling, W::kCanceling, W::kCanceling},
      {JobStatus::kCanceled, W::kCanceled, W::kCanceled, W::kCanceled},
      {JobStatus::kFailed, W::kFailed, W::kFailed, W::kFailed},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(ToString(row.job)));
    CHECK(DeriveWorkspaceStatus(BuildTransition::kStart, row.job) == row.start);
    CHECK(DeriveWorkspaceStatus(BuildTransition::kStop, row.job) == row.stop);
    CHECK(DeriveWorkspaceStatus(BuildTransition::kDelete, row.job) == row.del);
  }
}

TEST_CASE("ids parse, print, order, hash and refuse what names nothing") {
  const auto one = BuildId::Parse("018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f");
  const auto two = BuildId::Parse("018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e60");
  REQUIRE((one.ok() && two.ok()));
  CHECK(one->ToString() == "018f3c5e-7b1a-7c3d-9e2f-0a1b2c3d4e5f");
  CHECK(*one < *two);
  const absl::flat_hash_set<BuildId> both = {*one, *two, *one};
  CHECK(both.size() == 2);
  const absl::Status bad = WorkspaceId::Parse("w1").status();
  CHECK(bad.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(bad.message()).find("parse workspace id: ") == 0);
  CHECK_FALSE(UserId::Parse("00000000-0000-0000-0000-000000000000").ok());
  static_assert(!std::is_same_v<BuildId, JobId>);
}

}  // namespace
}  // namespace coder::lifecycle
