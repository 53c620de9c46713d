#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/workspace_policy.h"
#include "libs/storage/job_records.h"

namespace coder::storage {

/// The value of an input variable, encrypted before it comes here.
struct SealedValue {
  std::string name;
  std::string sealed;
};

/// A version to be made of an uploaded archive, with the job that imports it.
struct NewTemplateVersion {
  lifecycle::TemplateVersionId id;
  lifecycle::JobId job;
  lifecycle::OrganizationId organization;
  /// Absent for the first version of a template.
  std::optional<lifecycle::TemplateId> template_id;
  lifecycle::FileId file;
  lifecycle::UserId creator;
  std::string name, message;
  /// "terraform" or "echo".
  std::string provisioner;
  /// Complete, with scope and owner.
  Tags tags;
  std::vector<SealedValue> variables;
};

struct TemplateVersionRecord {
  lifecycle::TemplateVersionId id;
  /// Absent until a template is made from it.
  std::optional<lifecycle::TemplateId> template_id;
  lifecycle::OrganizationId organization;
  std::string name, message;
  /// Left empty in lists: it may be 1 MiB.
  std::string readme;
  JobView job;
  lifecycle::UserId creator;
  absl::Time created_at;
  std::optional<absl::Time> archived_at;
};

/// Where a page of versions, newest first, goes on.
struct VersionPageKey {
  absl::Time created_at;
  lifecycle::TemplateVersionId id;
};

/// Which versions of a template.
struct VersionFilter {
  lifecycle::TemplateId template_id;
  bool include_archived = false;
};

struct AgentView {
  lifecycle::AgentId id;
  /// Without its token.
  AgentRecord agent;
};

/// What an engine said exists. The record's own list of agents is empty.
struct ResourceView {
  lifecycle::ResourceId id;
  ResourceRecord resource;
  std::vector<AgentView> agents;
};

/// A template to be made of a version.
struct NewTemplate {
  lifecycle::TemplateId id;
  lifecycle::OrganizationId organization;
  lifecycle::TemplateVersionId version;
  lifecycle::UserId creator;
  std::string name, display_name, description, icon;
  std::optional<absl::Duration> default_ttl;
};

/// Everything about a template that its administrators may change.
struct TemplateSettings {
  std::string name, display_name, description, icon;
  lifecycle::WorkspacePolicy policy;
};

struct TemplateRecord {
  lifecycle::TemplateId id;
  lifecycle::OrganizationId organization;
  std::string organization_name;
  std::string provisioner;
  lifecycle::TemplateVersionId active_version;
  lifecycle::UserId creator;
  TemplateSettings settings;
  /// Workspaces not deleted.
  int32_t workspace_count = 0;
  absl::Time created_at, updated_at;
  /// Rises with every change.
  int64_t revision = 0;
};

/// Where a page of templates goes on: names in lower case.
struct TemplatePageKey {
  std::string organization_name;
  std::string name;
};

}  // namespace coder::storage
