#include "cli/coderctl/scaletest/cleanup.h"

#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/coderctl/scaletest/crew.h"
#include "cli/coderctl/scaletest/fleet.h"
#include "coder/api/v1/build.grpc.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

using api::v1::BuildService;
using api::v1::UserService;
using api::v1::WorkspaceService;

// How long the end of a build that is in the way is waited for before it is looked at again: it may
// have ended before the stream began.
constexpr absl::Duration kLookAgain = absl::Seconds(5);

bool IsOf(const std::string& name, const std::string& run) {
  const std::string of = RunOf(name);
  return !of.empty() && (run.empty() || of == run);
}

bool HasReason(const absl::Status& status, absl::string_view reason) {
  const auto found = status::ReasonOf(status);
  return found && found->reason == reason;
}

absl::StatusOr<std::vector<api::v1::Workspace>> Workspaces(Rig& rig, const std::string& run) {
  std::vector<api::v1::Workspace> found;
  api::v1::ListWorkspacesRequest request;
  request.set_page_size(500);
  request.set_search(PrefixOf(run));
  do {
    ASSIGN_OR_RETURN(api::v1::ListWorkspacesResponse page,
                     rig.api.Call<WorkspaceService>(&WorkspaceService::Stub::ListWorkspaces,
                                                    request, rig.stops->cleanup()));
    for (const auto& workspace : page.workspaces()) {
      if (IsOf(workspace.name(), run) && IsOf(workspace.owner_name(), run)) {
        found.push_back(workspace);
      }
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return found;
}

absl::StatusOr<std::vector<std::string>> Users(Rig& rig, const std::string& run) {
  std::vector<std::string> found;
  api::v1::ListUsersRequest request;
  request.set_page_size(500);
  request.set_search(PrefixOf(run));
  do {
    ASSIGN_OR_RETURN(
        api::v1::ListUsersResponse page,
        rig.api.Call<UserService>(&UserService::Stub::ListUsers, request, rig.stops->cleanup()));
    for (const auto& user : page.users()) {
      if (IsOf(user.username(), run)) found.push_back(user.id());
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return found;
}

/// Cancels the build that is in the way and waits for its end.
absl::Status CancelBuild(Rig& rig, const std::string& workspace_id) {
  api::v1::GetWorkspaceRequest get;
  get.set_workspace(workspace_id);
  ASSIGN_OR_RETURN(api::v1::GetWorkspaceResponse found,
                   rig.api.Call<WorkspaceService>(&WorkspaceService::Stub::GetWorkspace, get,
                                                  rig.stops->cleanup()));
  const api::v1::WorkspaceBuild& build = found.workspace().latest_build();
  api::v1::CancelWorkspaceBuildRequest cancel;
  cancel.set_id(build.id());
  // Refused when it has ended or is canceled already; either way its end is what counts.
  (void)rig.api.Call<BuildService>(&BuildService::Stub::CancelWorkspaceBuild, cancel,
                                   rig.stops->cleanup());
  (void)rig.stream->WaitForEnd(workspace_id, build.build_number(), kLookAgain,
                               rig.stops->cleanup());
  return absl::OkStatus();
}

absl::Status DeleteWorkspace(Rig& rig, const std::string& id, absl::Duration until) {
  while (true) {
    const absl::Status status =
        Build(rig, id, events::v1::BUILD_TRANSITION_DELETE, rig.stops->cleanup()).status();
    if (status.ok() || absl::IsNotFound(status) || HasReason(status, "WORKSPACE_DELETED")) {
      return absl::OkStatus();
    }
    if (!HasReason(status, "BUILD_ACTIVE") || rig.clock.MonotonicNow() > until) return status;
    const absl::Status canceled = CancelBuild(rig, id);
    if (!canceled.ok() && !absl::IsNotFound(canceled)) return canceled;
  }
}

absl::Status DeleteUser(Rig& rig, const std::string& id) {
  api::v1::DeleteUserRequest request;
  request.set_user(id);
  const absl::Status status =
      rig.api.Call<UserService>(&UserService::Stub::DeleteUser, request, rig.stops->cleanup())
          .status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

/// Does `work` to each and counts what is left.
class Sweep {
 public:
  Sweep(Rig& rig, const std::string& phase, int count) : rig_(rig), count_(count) {
    rig.progress.Begin(phase, count);
  }

  void Run(const std::function<absl::Status(int)>& work) {
    ForEach(count_, rig_.options.concurrency, rig_.stops->cleanup(), [&](int i) {
      const absl::Status status = work(i);
      const std::lock_guard lock(mutex_);
      if (status.ok()) {
        ++done_;
        rig_.progress.Done();
      } else {
        first_error_.Update(status);
        rig_.progress.Failed();
      }
    });
  }

  absl::Status Result(absl::string_view what) const {
    if (done_ == count_) return absl::OkStatus();
    return absl::AbortedError(absl::StrCat("clean up: ", count_ - done_, " of ", count_, " ", what,
                                           " are left (", first_error_.message(),
                                           "); run `coderctl scaletest cleanup`"));
  }

 private:
  Rig& rig_;
  const int count_;
  std::mutex mutex_;
  int done_ = 0;
  absl::Status first_error_;
};

}  // namespace

absl::Status Cleanup(Rig& rig, const std::string& run) {
  const absl::Duration until = rig.clock.MonotonicNow() + rig.options.cleanup_timeout;
  ASSIGN_OR_RETURN(const std::vector<api::v1::Workspace> workspaces, Workspaces(rig, run));
  Sweep deletes(rig, "delete", static_cast<int>(workspaces.size()));
  deletes.Run([&](int i) { return DeleteWorkspace(rig, workspaces[i].id(), until); });
  ASSIGN_OR_RETURN(const std::vector<std::string> users, Users(rig, run));
  Sweep leaves(rig, "users", static_cast<int>(users.size()));
  leaves.Run([&](int i) { return DeleteUser(rig, users[i]); });
  rig.progress.End();
  RETURN_IF_ERROR(deletes.Result("workspaces"));
  return leaves.Result("users");
}

}  // namespace coder::cli::scaletest
