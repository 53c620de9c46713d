#include "libs/storage/postgres/pg_expiry_store.h"

#include "libs/status/status_macros.h"

namespace coder::storage {
namespace {

// The newest autostart's outcome says which slots are decided. Replicas that do this at once delete
// the same rows; the later one finds them gone.
constexpr char kDropExpired[] = R"sql(
WITH requests AS (
  DELETE FROM idempotent_requests WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotent_requests WHERE created_at < now() - interval '24 hours'
    ORDER BY created_at LIMIT $1::int))
  RETURNING 1
), keys AS (
  DELETE FROM api_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM api_keys WHERE least(expires_at, revoked_at) < now() - interval '30 days'
    LIMIT $1::int))
  RETURNING 1
), outcomes AS (
  DELETE FROM lifecycle_outcomes WHERE ctid = ANY (ARRAY(
    SELECT o.ctid FROM lifecycle_outcomes o WHERE o.decided_at < now() - interval '90 days'
      AND (o.kind <> 'autostart' OR EXISTS (SELECT FROM lifecycle_outcomes n
        WHERE n.workspace_id = o.workspace_id AND n.kind = o.kind AND n.nominal_at > o.nominal_at))
    ORDER BY o.decided_at LIMIT $1::int))
  RETURNING 1
)
SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM keys)
  + (SELECT count(*) FROM outcomes) AS dropped)sql";

}  // namespace

absl::StatusOr<int64_t> PgExpiryStore::DropExpired(int limit, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const pg::Result rows, pool_.Execute(kDropExpired, {limit}, deadline));
  return rows[0].Get<int64_t>("dropped");
}

}  // namespace coder::storage
