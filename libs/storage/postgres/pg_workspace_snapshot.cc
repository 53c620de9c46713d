#include "libs/storage/postgres/pg_workspace_snapshot.h"

#include <optional>

#include "libs/clock/deadline.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_row.h"

namespace coder::storage {
namespace {

constexpr char kNilUuid[] = "00000000-0000-0000-0000-000000000000";

// One statement, one snapshot: a version and the state that belongs to it.
constexpr char kPage[] = R"sql(
SELECT w.id AS workspace_id, w.event_version, w.owner_id, w.organization_id, w.template_id,
  w.name AS workspace_name, b.id AS build_id, b.build_number, b.transition, b.reason, b.job_id,
  b.template_version_id, b.initiator_id, b.deadline, b.max_deadline, o.name AS organization_name,
  owner.username AS owner_name, t.name AS template_name, v.name AS template_version_name,
  initiator.username AS initiator_name, j.updated_at AS event_time, j.status,
  j.created_at, j.started_at, j.completed_at, j.error, j.error_code
FROM workspaces w
JOIN workspace_builds b ON b.id = w.latest_build_id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN template_versions v ON v.id = b.template_version_id
JOIN templates t ON t.id = w.template_id
JOIN organizations o ON o.id = w.organization_id
JOIN users owner ON owner.id = w.owner_id
JOIN users initiator ON initiator.id = b.initiator_id
WHERE w.id > $1::uuid AND w.deleted_at IS NULL AND w.event_version > 0
  AND ($3::boolean OR w.organization_id = ANY ($4::uuid[])
    OR (w.owner_id = $5::uuid AND w.organization_id = ANY ($6::uuid[])))
  AND (cardinality($7::uuid[]) = 0 OR w.organization_id = ANY ($7::uuid[]))
  AND (cardinality($8::uuid[]) = 0 OR w.owner_id = ANY ($8::uuid[]))
  AND (cardinality($9::uuid[]) = 0 OR w.template_id = ANY ($9::uuid[]))
  AND (cardinality($10::uuid[]) = 0 OR w.id = ANY ($10::uuid[]))
ORDER BY w.id LIMIT $2::int)sql";

std::vector<std::string> Listed(const absl::flat_hash_set<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

}  // namespace

absl::StatusOr<std::vector<WorkspaceState>> PgWorkspaceSnapshot::Page(
    const std::string& after, int limit, const events::WatchFilter& filter,
    const events::WatchRights& rights) {
  const auto owner =
      rights.owner_id.empty() ? std::optional<std::string>() : std::optional(rights.owner_id);
  ASSIGN_OR_RETURN(
      const pg::Result rows,
      pool_.Execute(kPage,
                    {after.empty() ? std::string(kNilUuid) : after, limit, rights.everything,
                     Listed(rights.organization_ids), owner, Listed(rights.owner_organization_ids),
                     Listed(filter.organization_ids), Listed(filter.owner_ids),
                     Listed(filter.template_ids), Listed(filter.workspace_ids)},
                    clock::Deadline::After(limit_)));
  std::vector<WorkspaceState> states;
  states.reserve(rows.rows());
  for (const pg::Result::Row row : rows) {
    ASSIGN_OR_RETURN(const events::v1::BuildEvent event,
                     ReadBuildEvent(row, events::v1::BUILD_EVENT_KIND_STATUS_CHANGED));
    states.push_back({.workspace_id = event.workspace_id(),
                      .version = event.workspace_version(),
                      .event = event.SerializeAsString()});
  }
  return states;
}

}  // namespace coder::storage
