#include "cli/coderctl/scaletest/build_board.h"

#include "cli/coderctl/scaletest/plan.h"

namespace coder::cli::scaletest {
namespace {

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

}  // namespace

bool IsFinal(events::v1::JobStatus status) {
  return status == events::v1::JOB_STATUS_SUCCEEDED || status == events::v1::JOB_STATUS_FAILED ||
         status == events::v1::JOB_STATUS_CANCELED;
}

void BuildBoard::Apply(const events::v1::BuildEvent& event, absl::Time seen) {
  if (RunOf(event.workspace_name()).empty()) return;
  ++events_;
  Workspace& workspace = workspaces_[event.workspace_id()];
  if (workspace.version != 0 && event.workspace_version() != workspace.version + 1) ++out_of_order_;
  workspace.version = event.workspace_version();
  ObservedBuild& build = workspace.builds[event.build_number()];
  build.number = event.build_number();
  build.transition = event.transition();
  build.reason = event.reason();
  build.status = event.job_status();
  build.seen = seen;
  build.error = event.error();
  if (event.has_job_create_time()) build.created = TimeOf(event.job_create_time());
  if (event.has_job_start_time()) build.acquired = TimeOf(event.job_start_time());
  if (event.has_job_complete_time()) build.completed = TimeOf(event.job_complete_time());
}

const ObservedBuild* BuildBoard::Find(const std::string& workspace_id, int32_t number) const {
  const auto workspace = workspaces_.find(workspace_id);
  if (workspace == workspaces_.end()) return nullptr;
  const auto build = workspace->second.builds.find(number);
  return build == workspace->second.builds.end() ? nullptr : &build->second;
}

const ObservedBuild* BuildBoard::FirstBy(const std::string& workspace_id,
                                         events::v1::BuildReason reason) const {
  const auto workspace = workspaces_.find(workspace_id);
  if (workspace == workspaces_.end()) return nullptr;
  for (const auto& [number, build] : workspace->second.builds) {
    if (build.reason == reason) return &build;
  }
  return nullptr;
}

}  // namespace coder::cli::scaletest
