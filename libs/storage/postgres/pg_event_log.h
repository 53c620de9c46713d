#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/pg/pool.h"
#include "libs/storage/event_log_store.h"

namespace coder::storage {

// The event log in PostgreSQL; runs as the role coder_api.
class PgEventLog : public EventLogStore {
 public:
  // `pool` must outlive this. A call takes at most `limit`.
  explicit PgEventLog(pg::Pool& pool, absl::Duration limit = absl::Seconds(5))
      : pool_(pool), limit_(limit) {}

  absl::StatusOr<fanout::LogBounds> Bounds() override;
  absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> Read(
      int64_t after, int64_t up_to, int64_t max_events) override;
  absl::StatusOr<int64_t> PositionBefore(absl::Time time) override;
  absl::StatusOr<int64_t> HighestOutboxId() override;
  absl::StatusOr<std::optional<fanout::LogBounds>> BoundsPast(int64_t outbox_id) override;

 private:
  pg::Pool& pool_;
  const absl::Duration limit_;
};

}  // namespace coder::storage
