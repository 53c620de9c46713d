#include "libs/storage/postgres/lifecycle_candidates.h"

namespace coder::storage {
namespace {

// One arm for each rule, each from an index; wider than the rules, which decide.
constexpr char kDue[] = R"sql(
  SELECT id FROM workspaces
  WHERE deleted_at IS NULL AND autostart_schedule IS NOT NULL
    AND (next_start_at <= $1 OR next_start_at IS NULL)
  UNION
  SELECT w.id FROM workspaces w JOIN workspace_builds b ON b.id = w.latest_build_id
  WHERE w.deleted_at IS NULL AND b.deadline IS NOT NULL AND b.transition = 'start'
    AND b.deadline <= $1
  UNION
  SELECT w.id FROM users u JOIN workspaces w ON w.owner_id = u.id
  JOIN workspace_builds b ON b.id = w.latest_build_id
  WHERE u.status = 'suspended' AND w.deleted_at IS NULL AND b.transition = 'start'
  UNION
  SELECT w.id FROM templates t JOIN workspaces w ON w.template_id = t.id
  JOIN workspace_builds b ON b.id = w.latest_build_id
  JOIN provisioner_jobs j ON j.id = b.job_id
  WHERE t.failure_ttl IS NOT NULL AND w.deleted_at IS NULL AND b.transition <> 'delete'
    AND j.status = 'failed' AND j.completed_at <= $1 - t.failure_ttl
  UNION
  SELECT w.id FROM templates t JOIN workspaces w ON w.template_id = t.id
  WHERE t.time_til_dormant IS NOT NULL AND w.deleted_at IS NULL AND w.dormant_at IS NULL
    AND w.last_used_at <= $1 - t.time_til_dormant
  UNION
  SELECT id FROM workspaces
  WHERE deleted_at IS NULL AND deleting_at IS NOT NULL AND deleting_at <= $1
  UNION
  SELECT w.id FROM templates t JOIN workspaces w ON w.template_id = t.id
  JOIN workspace_builds b ON b.id = w.latest_build_id
  JOIN provisioner_jobs j ON j.id = b.job_id
  JOIN lifecycle_outcomes o ON o.build_id = b.id AND o.kind = 'autostart'
  WHERE t.autostart_max_attempts > 1 AND o.attempt < t.autostart_max_attempts
    AND w.deleted_at IS NULL AND b.reason = 'autostart' AND j.status = 'failed'
    AND j.completed_at <= $1 - t.autostart_retry_delay
    AND NOT EXISTS (SELECT FROM lifecycle_outcomes n
      WHERE n.workspace_id = o.workspace_id AND n.kind = o.kind AND n.nominal_at = o.nominal_at
        AND n.attempt = o.attempt + 1
        AND NOT (n.outcome = 'skipped' AND n.reason = 'NO_PROVISIONER'))
  UNION
  SELECT w.id FROM templates t JOIN workspaces w ON w.template_id = t.id
  JOIN workspace_builds b ON b.id = w.latest_build_id
  WHERE t.autostop_reminder IS NOT NULL AND w.deleted_at IS NULL AND b.transition = 'start'
    AND b.deadline > $1 AND b.deadline <= $1 + t.autostop_reminder
    AND NOT EXISTS (SELECT FROM lifecycle_outcomes r WHERE r.workspace_id = w.id
      AND r.kind = 'autostop_reminder' AND r.nominal_at = b.deadline)
ORDER BY id)sql";

}  // namespace

const char* DueWorkspacesSql() { return kDue; }

}  // namespace coder::storage
