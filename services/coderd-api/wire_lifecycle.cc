#include "libs/storage/postgres/pg_lifecycle_store.h"
#include "services/coderd-api/lifecycle_service.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireLifecycle(Wiring& wiring) {
  auto& store = wiring.Make<storage::PgLifecycleStore>(wiring->pool, wiring->ids);
  wiring.Serve<LifecycleService>(LifecycleService::kName, wiring->gate, store, wiring.poker(),
                                 wiring.job_queue());
}

}  // namespace coder::api
