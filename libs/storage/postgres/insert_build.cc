#include "libs/storage/postgres/insert_build.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_writer.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;
using lifecycle::BuildReason;
using lifecycle::NameValue;
using lifecycle::StateSource;

constexpr char kInsertJobs[] = R"sql(
INSERT INTO provisioner_jobs (id, organization_id, initiator_id, type, provisioner, file_id, tags,
  queue_at, completed_at)
SELECT n.job_id, w.organization_id, n.initiator_id, 'workspace_build', i.provisioner, i.file_id,
  i.tags || CASE WHEN i.tags ->> 'scope' = 'user'
    THEN jsonb_build_object('scope', 'user', 'owner', w.owner_id::text)
    ELSE '{"scope": "organization", "owner": ""}'::jsonb END,
  now() + CASE WHEN n.waits_behind THEN interval '10 minutes' ELSE interval '0' END,
  CASE WHEN n.at_once THEN clock_timestamp() END
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[], $6::boolean[])
  AS n (job_id, workspace_id, version_id, initiator_id, waits_behind, at_once)
JOIN workspaces w ON w.id = n.workspace_id
JOIN template_versions v ON v.id = n.version_id
JOIN provisioner_jobs i ON i.id = v.job_id)sql";

constexpr char kInsertBuilds[] = R"sql(
INSERT INTO workspace_builds (id, workspace_id, build_number, template_version_id, transition,
  reason, initiator_id, job_id, log_level, sealed_state)
SELECT n.id, n.workspace_id, n.build_number, n.version_id, n.transition, n.reason, n.initiator_id,
  n.job_id, CASE WHEN n.debug THEN 'debug' ELSE '' END,
  CASE WHEN n.keeps_state THEN p.sealed_state END
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::uuid[],
  $8::uuid[], $9::boolean[], $10::boolean[])
  AS n (id, workspace_id, build_number, version_id, transition, reason, initiator_id, job_id, debug,
    keeps_state)
JOIN workspaces w ON w.id = n.workspace_id
LEFT JOIN workspace_builds p ON p.id = w.latest_build_id)sql";

constexpr char kInsertParameters[] = R"sql(
INSERT INTO workspace_build_parameters (build_id, name, value)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]))sql";

// A start that a person asks for is a use of the workspace.
constexpr char kPointWorkspaces[] = R"sql(
UPDATE workspaces w SET latest_build_id = n.build_id, updated_at = now(),
  last_used_at = CASE WHEN n.is_use THEN now() ELSE w.last_used_at END,
  next_start_at = CASE WHEN n.sets_next_start THEN n.next_start_at ELSE w.next_start_at END,
  deleted_at = CASE WHEN n.at_once THEN clock_timestamp() ELSE w.deleted_at END
FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::boolean[], $5::boolean[],
  $6::timestamptz[]) AS n (workspace_id, build_id, is_use, at_once, sets_next_start, next_start_at)
WHERE w.id = n.workspace_id)sql";

// The columns of the batch, one element for each build.
struct Columns {
  std::vector<std::string> ids, jobs, workspaces, versions, initiators, transitions, reasons;
  std::vector<int64_t> numbers;
  std::vector<bool> waits_behind, at_once, debug, keeps_state, is_use, sets_next_start;
  std::vector<std::optional<absl::Time>> next_starts;
  // One element for each parameter.
  std::vector<std::string> parameter_builds, parameter_names, parameter_values;
};

Columns ColumnsOf(const std::vector<BuildToInsert>& builds) {
  Columns c;
  for (const BuildToInsert& build : builds) {
    const bool scheduled = IsSchedulerReason(build.reason);
    c.ids.push_back(build.id.ToString());
    c.jobs.push_back(build.job.ToString());
    c.workspaces.push_back(build.workspace.ToString());
    c.versions.push_back(build.version.ToString());
    c.initiators.push_back(build.initiator.ToString());
    c.transitions.emplace_back(lifecycle::ToString(build.transition));
    c.reasons.emplace_back(lifecycle::ToString(build.reason));
    c.numbers.push_back(build.plan.build_number);
    c.waits_behind.push_back(scheduled);
    c.at_once.push_back(build.plan.completes_at_once);
    c.debug.push_back(build.debug);
    c.keeps_state.push_back(build.plan.state == StateSource::kPrevious);
    c.is_use.push_back(!scheduled && build.transition == lifecycle::BuildTransition::kStart);
    c.sets_next_start.push_back(build.next_start.has_value());
    c.next_starts.push_back(build.next_start ? build.next_start->at : std::nullopt);
    for (const NameValue& parameter : build.plan.parameters) {
      c.parameter_builds.push_back(build.id.ToString());
      c.parameter_names.push_back(parameter.name);
      c.parameter_values.push_back(parameter.value);
    }
  }
  return c;
}

absl::Status BuildActive() {
  return status::WithReason(
      absl::FailedPreconditionError("create workspace build: a workspace build is already active: "
                                    "another one was queued at the same moment; wait for it to "
                                    "finish or cancel it"),
      "BUILD_ACTIVE");
}

}  // namespace

bool IsSchedulerReason(BuildReason reason) {
  switch (reason) {
    case BuildReason::kAutostart:
    case BuildReason::kAutostop:
    case BuildReason::kDormancy:
    case BuildReason::kFailedStop:
    case BuildReason::kAutodelete:
      return true;
    case BuildReason::kInitiator:
    case BuildReason::kDashboard:
    case BuildReason::kCli:
    case BuildReason::kSshConnection:
    case BuildReason::kVscodeConnection:
    case BuildReason::kJetbrainsConnection:
      return false;
  }
  return false;
}

absl::Status InsertBuilds(pg::Transaction& tx, const std::vector<BuildToInsert>& builds) {
  if (builds.empty()) return absl::OkStatus();
  const Columns c = ColumnsOf(builds);
  pg::Pipeline writes;
  writes.Add(kInsertJobs,
             {c.jobs, c.workspaces, c.versions, c.initiators, c.waits_behind, c.at_once});
  writes.Add(kInsertBuilds, {c.ids, c.workspaces, c.numbers, c.versions, c.transitions, c.reasons,
                             c.initiators, c.jobs, c.debug, c.keeps_state});
  writes.Add(kInsertParameters, {c.parameter_builds, c.parameter_names, c.parameter_values});
  writes.Add(kPointWorkspaces,
             {c.workspaces, c.ids, c.is_use, c.at_once, c.sets_next_start, c.next_starts});
  const absl::StatusOr<std::vector<pg::Result>> written = tx.Execute(writes);
  if (pg::ConstraintName(written.status()) == "workspace_builds_workspace_id_build_number_key") {
    return BuildActive();
  }
  RETURN_IF_ERROR(written.status());
  if (written->front().affected() != static_cast<int64_t>(builds.size())) {
    return absl::NotFoundError(absl::StrCat("queue ", builds.size(), " builds: only ",
                                            written->front().affected(),
                                            " of them have a workspace and a template version"));
  }
  std::vector<BuildId> ids;
  for (const BuildToInsert& build : builds) ids.push_back(build.id);
  return WriteBuildEvents(tx, ids);
}

absl::Status InsertBuild(pg::Transaction& tx, const BuildToInsert& build) {
  return InsertBuilds(tx, {build});
}

}  // namespace coder::storage
