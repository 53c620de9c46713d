#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/pg/connection.h"
#include "libs/storage/event_sequencer.h"

namespace coder::storage {

// The sequencer over PostgreSQL; runs as the role coder_relay. Holds one session, opened when
// needed and again after it was lost.
class PgSequencer : public EventSequencer {
 public:
  explicit PgSequencer(pg::ConnectOptions options) : options_(std::move(options)) {}

  absl::StatusOr<int64_t> Session() override;
  absl::StatusOr<Sequenced> Sequence(int64_t session, int64_t max_events,
                                     int64_t confirmed) override;
  absl::StatusOr<LogCursor> ReadCursor(int64_t session) override;
  absl::StatusOr<std::vector<StoredPack>> ReadPacks(int64_t session, int64_t after,
                                                    int64_t max_events) override;
  absl::StatusOr<int64_t> BeginEpoch(int64_t session, int64_t current, int64_t next) override;
  absl::StatusOr<int> EnsurePartitions(int ahead) override;
  absl::StatusOr<int64_t> DropPartitions(int64_t keep_from) override;
  absl::StatusOr<int64_t> PositionBefore(absl::Time time) override;
  absl::StatusOr<absl::Time> DatabaseNow() override;
  absl::StatusOr<OutboxStats> ReadOutboxStats() override;

 private:
  absl::StatusOr<pg::Result> Run(const char* sql, std::vector<pg::Param> params);
  absl::StatusOr<pg::Result> RunOn(int64_t session, const char* sql, std::vector<pg::Param> params);

  const pg::ConnectOptions options_;
  std::unique_ptr<pg::Connection> connection_;
  int64_t session_ = 0;
  // Once every transaction before `settles_at_` has ended, no outbox row at or below this id can
  // still appear. 0: nothing is waited for.
  int64_t floor_candidate_ = 0;
  int64_t settles_at_ = 0;
};

}  // namespace coder::storage
