#include "libs/lifecycle/types.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coder::lifecycle {
namespace {

// Words in the order of the enumerators.
constexpr absl::string_view kTransitions[] = {"start", "stop", "delete"};
constexpr absl::string_view kJobStatuses[] = {"pending",   "running",  "succeeded",
                                              "canceling", "canceled", "failed"};
constexpr absl::string_view kReasons[] = {
    "initiator",           "autostart", "autostop", "dormancy",       "failedstop",
    "autodelete",          "dashboard", "cli",      "ssh_connection", "vscode_connection",
    "jetbrains_connection"};
constexpr absl::string_view kJobTypes[] = {"template_version_import", "workspace_build",
                                           "template_version_dry_run"};
constexpr absl::string_view kWorkspaceStatuses[] = {"pending",  "starting", "running",   "stopping",
                                                    "stopped",  "failed",   "canceling", "canceled",
                                                    "deleting", "deleted"};
constexpr absl::string_view kUserStatuses[] = {"active", "dormant", "suspended"};
constexpr absl::string_view kAutomaticUpdates[] = {"always", "never"};

template <typename Enum, size_t N>
absl::StatusOr<Enum> ParseWord(absl::string_view what, absl::string_view text,
                               const absl::string_view (&words)[N]) {
  std::string known;
  for (size_t i = 0; i < N; ++i) {
    if (words[i] == text) return static_cast<Enum>(i);
    absl::StrAppend(&known, i == 0 ? "" : ", ", words[i]);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("parse ", what, ": \"", text, "\" is not known; use one of: ", known));
}

template <typename Enum, size_t N>
absl::string_view Word(Enum value, const absl::string_view (&words)[N]) {
  const auto index = static_cast<size_t>(value);
  return index < N ? words[index] : "unknown";
}

WorkspaceStatus WhileRunning(BuildTransition transition) {
  switch (transition) {
    case BuildTransition::kStart:
      return WorkspaceStatus::kStarting;
    case BuildTransition::kStop:
      return WorkspaceStatus::kStopping;
    case BuildTransition::kDelete:
      return WorkspaceStatus::kDeleting;
  }
  return WorkspaceStatus::kPending;
}

WorkspaceStatus WhenSucceeded(BuildTransition transition) {
  switch (transition) {
    case BuildTransition::kStart:
      return WorkspaceStatus::kRunning;
    case BuildTransition::kStop:
      return WorkspaceStatus::kStopped;
    case BuildTransition::kDelete:
      return WorkspaceStatus::kDeleted;
  }
  return WorkspaceStatus::kPending;
}

}  // namespace

absl::string_view ToString(BuildTransition value) { return Word(value, kTransitions); }
absl::string_view ToString(JobStatus value) { return Word(value, kJobStatuses); }
absl::string_view ToString(BuildReason value) { return Word(value, kReasons); }
absl::string_view ToString(JobType value) { return Word(value, kJobTypes); }
absl::string_view ToString(WorkspaceStatus value) { return Word(value, kWorkspaceStatuses); }
absl::string_view ToString(UserStatus value) { return Word(value, kUserStatuses); }
absl::string_view ToString(AutomaticUpdates value) { return Word(value, kAutomaticUpdates); }

absl::StatusOr<BuildTransition> ParseBuildTransition(absl::string_view text) {
  return ParseWord<BuildTransition>("build transition", text, kTransitions);
}
absl::StatusOr<JobStatus> ParseJobStatus(absl::string_view text) {
  return ParseWord<JobStatus>("job status", text, kJobStatuses);
}
absl::StatusOr<BuildReason> ParseBuildReason(absl::string_view text) {
  return ParseWord<BuildReason>("build reason", text, kReasons);
}
absl::StatusOr<JobType> ParseJobType(absl::string_view text) {
  return ParseWord<JobType>("job type", text, kJobTypes);
}
absl::StatusOr<WorkspaceStatus> ParseWorkspaceStatus(absl::string_view text) {
  return ParseWord<WorkspaceStatus>("workspace status", text, kWorkspaceStatuses);
}
absl::StatusOr<UserStatus> ParseUserStatus(absl::string_view text) {
  return ParseWord<UserStatus>("user status", text, kUserStatuses);
}
absl::StatusOr<AutomaticUpdates> ParseAutomaticUpdates(absl::string_view text) {
  return ParseWord<AutomaticUpdates>("automatic updates", text, kAutomaticUpdates);
}

bool IsFinal(JobStatus status) {
  return status == JobStatus::kSucceeded || status == JobStatus::kCanceled ||
         status == JobStatus::kFailed;
}

WorkspaceStatus DeriveWorkspaceStatus(BuildTransition transition, JobStatus job) {
  switch (job) {
    case JobStatus::kPending:
      return WorkspaceStatus::kPending;
    case JobStatus::kRunning:
      return WhileRunning(transition);
    case JobStatus::kSucceeded:
      return WhenSucceeded(transition);
    case JobStatus::kCanceling:
      return WorkspaceStatus::kCanceling;
    case JobStatus::kCanceled:
      return WorkspaceStatus::kCanceled;
    case JobStatus::kFailed:
      return WorkspaceStatus::kFailed;
  }
  return WorkspaceStatus::kPending;
}

}  // namespace coder::lifecycle
