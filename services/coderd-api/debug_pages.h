#pragma once

#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "libs/fanout/event_pump.h"
#include "libs/fanout/ring.h"
#include "libs/pg/pool.h"
#include "libs/storage/job_records.h"
#include "services/coderd-api/job_dispatcher.h"
#include "services/coderd-api/watch_sessions.h"

/// What coderd-api shows of itself below /debug; see server::DebugPage.
namespace coder::api {

/// The counts of unfinished jobs that were read last, and when. Thread-safe.
class LatestJobCounts {
 public:
  /// `now` is monotonic.
  void Set(std::vector<storage::JobCount> counts, absl::Duration now);

  struct Counted {
    std::vector<storage::JobCount> jobs;
    absl::Duration at;
  };
  /// Absent before the first time.
  std::optional<Counted> Get() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Counted> latest_;  // guarded by mutex_
};

/// The sessions with PostgreSQL.
nlohmann::ordered_json DatabasePage(const pg::PoolStats& stats);

/// What the ring holds and what feeds it.
nlohmann::ordered_json EventsPage(const fanout::Ring& ring, const fanout::EventPump& pump);

/// How many watches there are by state, and the few that are furthest behind `head`, the furthest
/// first. A watch that takes its snapshot is behind everything.
nlohmann::ordered_json WatchesPage(std::vector<WatchView> watches,
                                   const WatchSessions::Limits& limits, int64_t head);

/// Unfinished jobs, and the daemons that wait for one at this replica, of `streams` connected.
nlohmann::ordered_json JobsPage(const std::optional<LatestJobCounts::Counted>& counted,
                                absl::Duration now, const std::vector<WaitingSlots>& waiting,
                                size_t streams);

}  // namespace coder::api
