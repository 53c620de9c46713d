#include "libs/storage/postgres/build_event_writer.h"

#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "coder/events/v1/build_event.pb.h"
#include "libs/events/pack.h"
#include "libs/status/status_macros.h"
#include "libs/storage/postgres/build_event_row.h"

namespace coder::storage {
namespace {

using lifecycle::BuildId;

// clock_timestamp(): a transaction that waited for the lock began before the change it follows.
constexpr char kBump[] = R"sql(
WITH bumped AS (
  UPDATE workspaces w SET event_version = w.event_version + 1
  FROM workspace_builds b
  WHERE b.id = ANY($1::uuid[]) AND w.id = b.workspace_id
  RETURNING w.id, w.event_version, w.owner_id, w.organization_id, w.template_id, w.name,
    b.id AS build_id)
SELECT w.id AS workspace_id, w.event_version, w.owner_id, w.organization_id, w.template_id,
  w.name AS workspace_name, w.build_id, b.build_number, b.transition, b.reason, b.job_id,
  b.template_version_id, b.initiator_id, b.deadline, b.max_deadline, o.name AS organization_name,
  owner.username AS owner_name, t.name AS template_name, v.name AS template_version_name,
  initiator.username AS initiator_name, clock_timestamp() AS event_time, j.status,
  j.created_at, j.started_at, j.completed_at, j.error, j.error_code
FROM bumped w
JOIN workspace_builds b ON b.id = w.build_id
JOIN provisioner_jobs j ON j.id = b.job_id
JOIN template_versions v ON v.id = b.template_version_id
JOIN templates t ON t.id = w.template_id
JOIN organizations o ON o.id = w.organization_id
JOIN users owner ON owner.id = w.owner_id
JOIN users initiator ON initiator.id = b.initiator_id
ORDER BY w.id)sql";

constexpr char kInsert[] = R"sql(
INSERT INTO outbox (workspace_id, workspace_version, payload)
SELECT workspace_id, workspace_version, decode(payload, 'base64')
FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS e (workspace_id, workspace_version, payload))sql";

events::v1::BuildEventKind ToProto(BuildEventKind kind) {
  switch (kind) {
    case BuildEventKind::kStatusChanged:
      return events::v1::BUILD_EVENT_KIND_STATUS_CHANGED;
    case BuildEventKind::kLateStateStored:
      return events::v1::BUILD_EVENT_KIND_LATE_STATE_STORED;
    case BuildEventKind::kLateStateResolved:
      return events::v1::BUILD_EVENT_KIND_LATE_STATE_RESOLVED;
    case BuildEventKind::kAutostopReminder:
      return events::v1::BUILD_EVENT_KIND_AUTOSTOP_REMINDER;
  }
  return events::v1::BUILD_EVENT_KIND_UNSPECIFIED;
}

}  // namespace

absl::Status WriteBuildEvents(pg::Transaction& tx, const std::vector<BuildId>& builds,
                              BuildEventKind kind) {
  if (builds.empty()) return absl::OkStatus();
  std::vector<std::string> ids;
  for (const BuildId& build : builds) ids.push_back(build.ToString());
  ASSIGN_OR_RETURN(const pg::Result rows, tx.Execute(kBump, {ids}));
  if (static_cast<size_t>(rows.rows()) != builds.size()) {
    return absl::NotFoundError(absl::StrCat("write events of ", builds.size(), " builds: only ",
                                            rows.rows(), " of them exist in different workspaces"));
  }
  std::vector<std::string> workspaces;
  std::vector<int64_t> versions;
  std::vector<std::string> payloads;
  for (const pg::Result::Row row : rows) {
    ASSIGN_OR_RETURN(const events::v1::BuildEvent event, ReadBuildEvent(row, ToProto(kind)));
    std::string framed;
    events::AppendFramed(event.SerializeAsString(), framed);
    workspaces.push_back(event.workspace_id());
    versions.push_back(event.workspace_version());
    payloads.push_back(absl::Base64Escape(framed));
  }
  return tx.Execute(kInsert, {workspaces, versions, payloads}).status();
}

absl::Status WriteBuildEvent(pg::Transaction& tx, const BuildId& build, BuildEventKind kind) {
  return WriteBuildEvents(tx, {build}, kind);
}

}  // namespace coder::storage
