#include "services/pubsub-relay/housekeeping_pass.h"

#include "libs/server/log.h"
#include "libs/status/status_macros.h"

namespace coder::relay {

absl::StatusOr<server::PassOutcome> HousekeepingPass::Run(std::stop_token) {
  ASSIGN_OR_RETURN(const storage::OutboxStats outbox, sequencer_.ReadOutboxStats());
  metrics_.outbox_rows.Set(static_cast<double>(outbox.rows));
  metrics_.outbox_oldest_seconds.Set(absl::ToDoubleSeconds(outbox.oldest_age));

  ASSIGN_OR_RETURN(const int made, sequencer_.EnsurePartitions(options_.partitions_ahead));
  if (made > 1 && !first_round_) {
    metrics_.late_partitions.Increment(made - 1);
    log::Error("partitions of the event log were made late", {{"partitions", made}});
  }
  first_round_ = false;

  ASSIGN_OR_RETURN(const absl::Time now, sequencer_.DatabaseNow());
  ASSIGN_OR_RETURN(const int64_t old, sequencer_.PositionBefore(now - options_.retention));
  ASSIGN_OR_RETURN(const int64_t session, sequencer_.Session());
  ASSIGN_OR_RETURN(const storage::LogCursor cursor, sequencer_.ReadCursor(session));
  int64_t floor = cursor.log_floor;
  // Only whole partitions go, so most rounds have nothing to drop and need no lock.
  if (old / 1'000'000 > cursor.log_floor / 1'000'000) {
    ASSIGN_OR_RETURN(floor, sequencer_.DropPartitions(old + 1));
    log::Info("old events were dropped from the log", {{"floor", floor}});
  }
  metrics_.log_floor.Set(static_cast<double>(floor));
  metrics_.head.Set(static_cast<double>(cursor.head));
  metrics_.epoch.Set(static_cast<double>(cursor.epoch));
  return server::PassOutcome::kIdle;
}

}  // namespace coder::relay
