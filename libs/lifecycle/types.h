#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coder::lifecycle {

/// What a build does to its workspace.
enum class BuildTransition : uint8_t { kStart, kStop, kDelete };

/// Where a provisioner job stands; the last of each path (succeeded, canceled, failed) is final.
enum class JobStatus : uint8_t { kPending, kRunning, kSucceeded, kCanceling, kCanceled, kFailed };

/// Who or what asked for a build.
enum class BuildReason : uint8_t {
  kInitiator,
  kAutostart,
  kAutostop,
  kDormancy,
  kFailedStop,
  kAutodelete,
  kDashboard,
  kCli,
  kSshConnection,
  kVscodeConnection,
  kJetbrainsConnection,
};

/// What a provisioner job is for.
enum class JobType : uint8_t { kTemplateVersionImport, kWorkspaceBuild, kTemplateVersionDryRun };

/// What a person sees of a workspace: its latest build's transition and that build's job together.
enum class WorkspaceStatus : uint8_t {
  kPending,
  kStarting,
  kRunning,
  kStopping,
  kStopped,
  kFailed,
  kCanceling,
  kCanceled,
  kDeleting,
  kDeleted,
};

/// Whether an account may act. A dormant account becomes active at its next login; a suspended one
/// cannot log in.
enum class UserStatus : uint8_t { kActive, kDormant, kSuspended };

/// Whether a workspace moves to its template's active version whenever it starts.
enum class AutomaticUpdates : uint8_t { kAlways, kNever };

/// The word for the value, as stored, sent and printed ("start", "ssh_connection", …). Static
/// storage.
absl::string_view ToString(BuildTransition value);
absl::string_view ToString(JobStatus value);
absl::string_view ToString(BuildReason value);
absl::string_view ToString(JobType value);
absl::string_view ToString(WorkspaceStatus value);
absl::string_view ToString(UserStatus value);
absl::string_view ToString(AutomaticUpdates value);

/// The value whose word is exactly `text` (case matters). INVALID_ARGUMENT, listing the words, for
/// any other text.
absl::StatusOr<BuildTransition> ParseBuildTransition(absl::string_view text);
absl::StatusOr<JobStatus> ParseJobStatus(absl::string_view text);
absl::StatusOr<BuildReason> ParseBuildReason(absl::string_view text);
absl::StatusOr<JobType> ParseJobType(absl::string_view text);
absl::StatusOr<WorkspaceStatus> ParseWorkspaceStatus(absl::string_view text);
absl::StatusOr<UserStatus> ParseUserStatus(absl::string_view text);
absl::StatusOr<AutomaticUpdates> ParseAutomaticUpdates(absl::string_view text);

/// True for succeeded, canceled and failed: the job will never change again.
bool IsFinal(JobStatus status);

/// The workspace's status while `transition` is its latest build's and `job` that build's job's.
WorkspaceStatus DeriveWorkspaceStatus(BuildTransition transition, JobStatus job);

}  // namespace coder::lifecycle
