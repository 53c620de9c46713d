#include "libs/server/loop.h"
#include "libs/storage/postgres/pg_audit_log_store.h"
#include "libs/storage/postgres/pg_organization_store.h"
#include "services/coderd-api/audit_retention_pass.h"
#include "services/coderd-api/audit_service.h"
#include "services/coderd-api/audit_trail.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireAudit(Wiring& wiring) {
  auto& store = wiring.Make<storage::PgAuditLogStore>(wiring->pool);
  auto& organizations = wiring.Make<storage::PgOrganizationStore>(wiring->pool);
  wiring->gate.RecordWrites(
      wiring.Make<AuditTrail>(store, wiring->ids, wiring->clock, wiring->metrics.registry()));
  wiring.Serve<AuditService>(AuditService::kName, wiring->gate, store, organizations);
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "audit-retention", .interval = absl::Minutes(10)},
      [&store, retention = wiring->config.audit_retention](std::stop_token) {
        return RunAuditRetentionPass(store, retention);
      },
      wiring->clock, wiring->metrics.registry());
}

}  // namespace coder::api
