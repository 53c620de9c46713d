#include "libs/server/loop.h"
#include "libs/storage/postgres/pg_expiry_store.h"
#include "services/coderd-api/expiry_pass.h"
#include "services/coderd-api/wiring.h"

namespace coder::api {

void WireExpiry(Wiring& wiring) {
  auto& store = wiring.Make<storage::PgExpiryStore>(wiring->pool);
  wiring.Run<server::Loop>(
      server::LoopOptions{.name = "expiry", .interval = absl::Minutes(10)},
      [&store](std::stop_token) { return RunExpiryPass(store); }, wiring->clock,
      wiring->metrics.registry());
}

}  // namespace coder::api
