#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/auth/policy.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/parameters.h"
#include "libs/lifecycle/types.h"
#include "libs/storage/idempotency.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// One build of a workspace with the names that people know its parts by.
struct BuildRecord {
  lifecycle::BuildId id;
  lifecycle::WorkspaceId workspace;
  std::string workspace_name;
  lifecycle::OrganizationId organization;
  lifecycle::UserId owner;
  std::string owner_name;
  lifecycle::TemplateId template_id;
  /// From 1.
  int32_t number = 0;
  lifecycle::TemplateVersionId version;
  std::string version_name;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::BuildReason reason = lifecycle::BuildReason::kInitiator;
  lifecycle::UserId initiator;
  std::string initiator_name;
  JobView job;
  std::optional<absl::Time> deadline;
  std::optional<absl::Time> max_deadline;
  /// A state arrived after its lease was lost and was neither adopted nor dismissed.
  bool late_state_pending = false;
  /// Whether the template lets users cancel.
  bool allow_user_cancel = true;
  absl::Time created_at;
};

/// A workspace with its latest build.
struct WorkspaceRecord {
  lifecycle::WorkspaceId id;
  lifecycle::UserId owner;
  std::string owner_name;
  lifecycle::OrganizationId organization;
  std::string organization_name;
  lifecycle::TemplateId template_id;
  std::string template_name;
  std::string name;
  BuildRecord latest_build;
  /// The latest build does not use the template's active version.
  bool outdated = false;
  /// Normalised; empty: does not start by itself.
  std::string autostart_schedule;
  std::optional<absl::Time> next_start_at;
  /// Nominal autostarts up to this one are left out.
  std::optional<absl::Time> autostart_skip_until;
  std::optional<absl::Duration> ttl;
  lifecycle::AutomaticUpdates automatic_updates = lifecycle::AutomaticUpdates::kNever;
  absl::Time last_used_at;
  std::optional<absl::Time> dormant_at;
  std::optional<absl::Time> deleting_at;
  bool deleted = false;
  absl::Time created_at;
  absl::Time updated_at;
  /// Rises with every change of the workspace itself.
  int64_t revision = 0;

  lifecycle::WorkspaceStatus status() const {
    return lifecycle::DeriveWorkspaceStatus(latest_build.transition, latest_build.job.status);
  }
};

/// Who a workspace is to belong to.
struct OwnerRecord {
  lifecycle::UserId id;
  std::string username;
};

/// What a workspace is to be made from.
struct TemplateChoice {
  lifecycle::TemplateId id;
  lifecycle::OrganizationId organization;
  /// The version asked for, else the active one.
  lifecycle::TemplateVersionId version;
};

/// A workspace to be made and started.
struct NewWorkspace {
  lifecycle::UserId owner;
  /// Who asks.
  lifecycle::UserId initiator;
  std::string name;
  TemplateChoice from;
  /// Whether the version was asked for by itself.
  bool version_given = false;
  bool may_update_template = false;
  std::vector<lifecycle::NameValue> parameters;
  /// As given; empty: none.
  std::string autostart_schedule;
  /// Absent: the template's default.
  std::optional<absl::Duration> ttl;
  lifecycle::AutomaticUpdates automatic_updates = lifecycle::AutomaticUpdates::kNever;
  std::optional<RequestKey> request;
};

/// A further build that is asked for.
struct BuildOrder {
  lifecycle::WorkspaceId workspace;
  lifecycle::UserId initiator;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::BuildReason reason = lifecycle::BuildReason::kInitiator;
  std::optional<lifecycle::TemplateVersionId> version;
  bool orphan = false;
  bool debug = false;
  bool may_update_template = false;
  std::vector<lifecycle::NameValue> parameters;
  std::optional<RequestKey> request;
};

/// What is to change of a workspace; what is absent stays.
struct WorkspaceChange {
  /// Absent: whatever it is.
  std::optional<int64_t> expected_revision;
  std::optional<std::string> name;
  /// Empty text: no schedule any more.
  std::optional<std::string> autostart_schedule;
  bool set_ttl = false;
  /// With set_ttl; absent: no TTL any more.
  std::optional<absl::Duration> ttl;
  std::optional<lifecycle::AutomaticUpdates> automatic_updates;
};

/// Which workspaces.
struct WorkspaceFilter {
  /// What the caller may read, and who the caller is.
  auth::Scope scope;
  lifecycle::UserId caller;
  std::optional<lifecycle::UserId> owner;
  std::optional<lifecycle::TemplateId> template_id;
  std::optional<lifecycle::OrganizationId> organization;
  /// Empty: all but the deleted ones.
  std::vector<lifecycle::WorkspaceStatus> statuses;
  /// Part of the name, ignoring case; empty: all.
  std::string search;
};

/// How one nominal time of a workspace's schedule ended.
struct OutcomeRecord {
  std::string kind;
  absl::Time nominal_at;
  int32_t attempt = 1;
  std::string outcome;
  std::string reason;
  std::string detail;
  std::optional<lifecycle::BuildId> build;
  absl::Time decided_at;
  /// With a build: how its job stands now, and its number.
  std::optional<lifecycle::JobStatus> build_status;
  int32_t build_number = 0;
};

}  // namespace coder::storage
