#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/types.h"
#include "libs/pg/transaction.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// Tags as their jsonb column takes and gives them.
std::string TagsToJson(const Tags& tags);
Tags TagsFromJson(const std::string& json);

/// An id out of a uuid column, which holds nothing else.
template <typename Id>
Id IdFromColumn(const std::string& text) {
  return Id::Parse(text).value();
}

/// A value out of a column whose CHECK allows only the words of its parser.
template <typename T>
T WordFromColumn(absl::StatusOr<T> (*parse)(absl::string_view), const std::string& text) {
  return parse(text).value();
}

/// A claimed job under its row lock, and under its workspace's when it is a build.
struct LockedJob {
  /// The claim's token is the last one the job was given out under.
  bool token_matches = false;
  lifecycle::JobType type = lifecycle::JobType::kWorkspaceBuild;
  lifecycle::JobStatus status = lifecycle::JobStatus::kPending;
  /// The job ended because nobody renewed its lease.
  bool reaped = false;
  /// Set for a build.
  std::optional<lifecycle::BuildId> build;
  lifecycle::WorkspaceId workspace;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;

  /// The claim still holds the job.
  bool held() const { return token_matches && !lifecycle::IsFinal(status); }
};

/// Locks a claimed job, its workspace before it. LEASE_LOST (JobStore), naming `attempt`, for a
/// job that does not exist in the claim's organization.
absl::StatusOr<LockedJob> LockClaimedJob(pg::Transaction& transaction, const LeaseClaim& claim,
                                         absl::string_view attempt);

/// The refusal of a claim that no longer holds.
absl::Status LeaseLost(absl::string_view attempt, const LeaseClaim& claim);

/// When the rule that asked for a build was due: from the columns reason, nominal_at (of the first
/// attempt's outcome) and autostart_spread.
std::optional<absl::Time> DueAt(const pg::Result::Row& row, const lifecycle::WorkspaceId& id);

}  // namespace coder::storage
