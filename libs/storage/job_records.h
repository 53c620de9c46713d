#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "libs/lifecycle/ids.h"
#include "libs/lifecycle/types.h"

namespace coder::storage {

/// What a job asks for and a daemon offers.
using Tags = std::map<std::string, std::string>;

/// A daemon as it introduces itself under its key.
struct DaemonHello {
  lifecycle::OrganizationId organization;
  lifecycle::ProvisionerKeyId key;
  /// 1-64 characters, unique among the daemons of one key.
  std::string name;
  std::string version;
  /// "terraform", "echo".
  std::vector<std::string> provisioners;
  Tags tags;
  /// 1-256 jobs at once.
  int slots = 1;
};

/// Who asks for jobs and what they may be.
struct AcquireTerms {
  /// One for each job that may be taken; a daemon stands there once for each slot that waits.
  std::vector<lifecycle::ProvisionerDaemonId> daemons;
  lifecycle::OrganizationId organization;
  std::vector<std::string> provisioners;
  Tags tags;
  /// From the moment of acquiring, by the database's clock.
  absl::Duration lease;
};

/// Who holds which job, as a runner claims it.
struct LeaseClaim {
  lifecycle::JobId job;
  lifecycle::LeaseToken token;
  /// The organization of the runner's key; a job of another one is not found.
  lifecycle::OrganizationId organization;
};

struct NamedValue {
  std::string name;
  std::string value;

  friend bool operator==(const NamedValue&, const NamedValue&) = default;
};

/// A template variable that was given a value, sealed with the deployment's keyring.
struct SealedVariable {
  std::string name;
  std::string sealed_value;
  bool sensitive = false;
};

/// A template version to be imported.
struct ImportWork {
  lifecycle::TemplateVersionId version;
  std::string version_name;
  /// Empty for the first version of a template.
  std::string template_name;
};

/// A workspace to be built.
struct BuildWork {
  lifecycle::BuildId build;
  int32_t build_number = 0;
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  lifecycle::BuildReason reason = lifecycle::BuildReason::kInitiator;
  lifecycle::WorkspaceId workspace;
  std::string workspace_name;
  lifecycle::UserId owner;
  std::string owner_username;
  std::string owner_name;
  std::string owner_email;
  /// Site roles.
  std::vector<std::string> owner_roles;
  lifecycle::TemplateId template_id;
  std::string template_name;
  lifecycle::TemplateVersionId version;
  std::string version_name;
  std::vector<NamedValue> parameters;
  /// Those of the workspace's previous build.
  std::vector<NamedValue> previous_parameters;
  bool debug = false;
  /// When the rule that asked for the build was due, at the workspace's place in the spread window;
  /// absent for what people ask for and for retries.
  std::optional<absl::Time> due_at;
};

/// A build that has just ended well.
struct CompletedBuild {
  lifecycle::BuildReason reason = lifecycle::BuildReason::kInitiator;
  absl::Time completed_at;
  /// As BuildWork::due_at.
  std::optional<absl::Time> due_at;
};

/// A job on its way to whoever now holds its lease.
struct AcquiredJob {
  /// Its place in AcquireTerms::daemons: who is to run it.
  size_t place = 0;
  lifecycle::JobId id;
  lifecycle::LeaseToken token;
  lifecycle::OrganizationId organization;
  std::string provisioner;
  absl::Time created_at;
  absl::Time started_at;
  /// Lower-case hex of the archive's digest.
  std::string source_sha256;
  std::vector<SealedVariable> variables;
  std::variant<ImportWork, BuildWork> work;
};

enum class LogSource : uint8_t { kProvisionerDaemon, kProvisioner };
enum class LogLevel : uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

struct JobLogLine {
  absl::Time time;
  LogSource source = LogSource::kProvisioner;
  LogLevel level = LogLevel::kInfo;
  /// At most 128 bytes.
  std::string stage;
  /// At most 1,024 bytes.
  std::string output;
};

/// A line that is in the log. Ids of one job rise in the order of the log, with holes.
struct StoredLogLine {
  int64_t id = 0;
  JobLogLine line;
};

struct StageTiming {
  /// "init", "plan", "graph" or "apply".
  std::string stage;
  absl::Time started_at;
  absl::Time ended_at;
};

struct AppRecord {
  std::string slug, display_name, url, command, icon;
  /// "owner", "authenticated", "organization" or "public".
  std::string sharing_level = "owner";
  bool external = false;
  bool hidden = false;
  int32_t order = 0;
};

struct AgentRecord {
  std::string name, operating_system, architecture, directory;
  /// Stored as its SHA-256 only; empty in an import. Secret.
  std::string token;
  int32_t order = 0;
  std::vector<AppRecord> apps;
};

struct MetadataRecord {
  std::string key;
  /// Not stored when sensitive.
  std::string value;
  bool sensitive = false;
};

struct ResourceRecord {
  lifecycle::BuildTransition transition = lifecycle::BuildTransition::kStart;
  std::string type, name;
  bool hide = false;
  std::string icon, instance_type;
  int32_t daily_cost = 0;
  std::vector<MetadataRecord> metadata;
  std::vector<AgentRecord> agents;
};

struct ParameterOptionRecord {
  std::string name, description, value, icon;
};

struct ParameterRecord {
  std::string name, display_name, description;
  /// "string", "number", "bool" or "list(string)".
  std::string type;
  std::string form_type;
  bool is_mutable = false;
  bool ephemeral = false;
  bool required = false;
  std::string default_value, icon;
  std::vector<ParameterOptionRecord> options;
  std::string validation_regex, validation_error;
  std::optional<int64_t> validation_min, validation_max;
  /// "", "increasing" or "decreasing".
  std::string validation_monotonic;
  int32_t order = 0;
};

struct VariableRecord {
  std::string name, description, type, default_value;
  bool required = false;
  bool sensitive = false;
};

/// What an import learned.
struct ImportOutcome {
  std::vector<ParameterRecord> parameters;
  std::vector<VariableRecord> variables;
  std::vector<ResourceRecord> resources;
  /// At most 1 MiB.
  std::string readme;
  /// What builds of this version ask for beside the version's own tags.
  Tags workspace_tags;
};

/// A runner's own account of why it did not finish.
struct JobFailure {
  /// One sentence, not empty, at most 1,024 bytes.
  std::string error;
  std::string error_code;
  /// The work stopped because a cancel was asked for.
  bool canceled = false;
};

/// What a heartbeat brings back.
struct HeartbeatAnswer {
  bool cancel_requested = false;
};

/// What became of appended lines.
struct AppendOutcome {
  /// Output beyond the cap was dropped.
  bool overflowed = false;
};

/// A job whose runner was given up.
struct ReapedJob {
  lifecycle::JobId id;
  lifecycle::JobType type = lifecycle::JobType::kWorkspaceBuild;
};

/// A job as people see it.
struct JobView {
  lifecycle::JobId id;
  lifecycle::JobType type = lifecycle::JobType::kWorkspaceBuild;
  lifecycle::JobStatus status = lifecycle::JobStatus::kPending;
  lifecycle::OrganizationId organization;
  lifecycle::UserId initiator;
  /// Owner of the built workspace, or creator of the imported version.
  lifecycle::UserId owner;
  std::string provisioner;
  Tags tags;
  absl::Time created_at;
  std::optional<absl::Time> started_at, canceled_at, completed_at;
  std::string error, error_code;
  std::optional<lifecycle::ProvisionerDaemonId> worker;
  std::string worker_name;
  bool logs_overflowed = false;
  /// Daemons seen within 90 s that could run the job now.
  int32_t matching_provisioners = 0;
  /// Exactly one of these is set, by type.
  std::optional<lifecycle::TemplateVersionId> version;
  std::optional<lifecycle::BuildId> build;
  /// The template of the version; absent for a first version being imported.
  std::optional<lifecycle::TemplateId> template_id;
};

/// Where a page of jobs, newest first, goes on.
struct JobPageKey {
  absl::Time created_at;
  lifecycle::JobId id;
};

/// Which jobs of an organization.
struct JobFilter {
  lifecycle::OrganizationId organization;
  /// Empty: all.
  std::vector<lifecycle::JobStatus> statuses;
};

/// A daemon as people see it.
struct DaemonView {
  lifecycle::ProvisionerDaemonId id;
  lifecycle::OrganizationId organization;
  std::string name, version, key_name;
  std::vector<std::string> provisioners;
  Tags tags;
  int32_t slots = 0;
  int32_t running_jobs = 0;
  /// Seen within 90 s under a key that is not revoked.
  bool online = false;
  absl::Time created_at, last_seen_at;
};

/// How many jobs there are of one kind; finished ones are not counted.
struct JobCount {
  std::string provisioner;
  lifecycle::JobStatus status = lifecycle::JobStatus::kPending;
  int64_t jobs = 0;
};

}  // namespace coder::storage
