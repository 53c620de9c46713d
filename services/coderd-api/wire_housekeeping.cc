#include "libs/server/loop.h"
#include "libs/storage/postgres/pg_expiry_store.h"
#include "services/coderd-api/expiry_pass.h"
#include "services/coderd-api/pool_metrics.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireHousekeeping(Wiring& wiring) {
  auto& store = wiring.Make<storage::PgExpiryStore>(wiring->pool);
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "expiry", .interval = absl::Minutes(10)},
      [&store](std::stop_token) { return RunExpiryPass(store); }, wiring->clock,
      wiring->metrics.registry());
  auto& pool_metrics = wiring.Make<PoolMetrics>(wiring->metrics.registry());
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "pool-metrics", .interval = absl::Seconds(1)},
      [&pool_metrics, &pool = wiring->pool](std::stop_token) {
        pool_metrics.Show(pool.Stats());
        return server::PassOutcome::kIdle;
      },
      wiring->clock, wiring->metrics.registry());
}

}  // namespace coder::api
