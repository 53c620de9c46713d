#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/storage/event_log_store.h"
#include "libs/storage/event_sequencer.h"
#include "tests/sim/checker.h"
#include "tests/sim/fibers.h"

namespace coder::sim {

/// What every part of one run shares.
struct Host {
  clock::FakeClock& clock;
  Random& random;
  Fibers& fibers;
  Checker& checker;

  absl::Duration now() const { return clock.MonotonicNow(); }
  /// A call to the outside world takes its time: mostly none, seldom long.
  void Pause(const Process& process, absl::Duration longest) const;
};

/// The database: workspaces, outbox, log and cursor, committed by transactions that become visible
/// in another order than they drew their ids. Can be down, cut its sessions and go back in time.
class Database {
 public:
  struct Pack {
    storage::StoredPack stored;
    std::vector<int64_t> serials;
  };
  struct Workspace {
    std::string id;
    std::string organization;
    std::string owner;
    int64_t version = 0;
    bool locked = false;
  };
  /// What a backup holds.
  struct State {
    std::vector<Workspace> workspaces;
    std::map<int64_t, int64_t> outbox;  // id -> serial
    std::vector<std::shared_ptr<const Pack>> log;
    storage::LogCursor cursor;
    int64_t next_id = 1;
  };
  /// A transaction that holds its workspace's lock and has drawn its id.
  struct Write {
    size_t workspace = 0;
    int64_t id = 0;
    int64_t serial = 0;
    int64_t generation = 0;
  };

  Database(Host& host, int workspaces);

  std::optional<Write> Begin(size_t workspace, bool readable);
  void Commit(const Write& write);
  void Abort(const Write& write);

  /// Cuts every session; transactions in progress are rolled back.
  void CutSessions() { ++generation_; }
  /// Goes back to `backup`, which cuts every session. With `operator_begins_epoch` the step that
  /// belongs to every restore is taken before anyone connects.
  void Restore(const State& backup, bool operator_begins_epoch);
  /// What `coderd-api new-epoch` does.
  void BeginNextEpoch();
  /// A later one than ever before, which the real one takes from the time.
  void BeginEpoch(int64_t at_least);
  /// Drops what lies wholly below `floor`, never what the stream has not confirmed.
  void DropBelow(int64_t floor);

  int64_t generation() const { return generation_; }
  const State& state() const { return state_; }
  State& state() { return state_; }

  /// Until then nobody can connect.
  absl::Duration down_until;
  /// Until then every call may take long.
  absl::Duration slow_until;
  /// Whether a sequencer's statement is refused when its session is over; off only to see what
  /// rests on it.
  bool binds_sessions = true;
  /// The next statement of a sequencer commits, and then its session is cut.
  bool lose_next_answer = false;

  bool up() const { return host_.now() >= down_until; }
  absl::Duration latency() const {
    return host_.now() < slow_until ? absl::Seconds(2) : absl::Milliseconds(20);
  }

 private:
  Host& host_;
  State state_;
  int64_t generation_ = 1;
  // The generation that began with the last restore.
  int64_t restored_ = 0;
  int64_t highest_epoch_ = 1;
};

/// One relay's session.
class Sequencer : public storage::EventSequencer {
 public:
  Sequencer(Host& host, Database& database, const Process& process)
      : host_(host), database_(database), process_(process) {}

  absl::StatusOr<int64_t> Session() override;
  absl::StatusOr<storage::Sequenced> Sequence(int64_t session, int64_t max_events,
                                              int64_t confirmed) override;
  absl::StatusOr<storage::LogCursor> ReadCursor(int64_t session) override;
  absl::StatusOr<std::vector<storage::StoredPack>> ReadPacks(int64_t session, int64_t after,
                                                             int64_t max_events) override;
  absl::StatusOr<int64_t> BeginEpoch(int64_t session, int64_t current, int64_t next) override;
  absl::StatusOr<int> EnsurePartitions(int) override { return 0; }
  absl::StatusOr<int64_t> DropPartitions(int64_t) override { return 1; }
  absl::StatusOr<int64_t> PositionBefore(absl::Time) override { return 0; }
  absl::StatusOr<absl::Time> DatabaseNow() override { return host_.clock.Now(); }
  absl::StatusOr<storage::OutboxStats> ReadOutboxStats() override { return storage::OutboxStats{}; }

 private:
  // Let time pass, and fail when the database cannot be reached, or the session did not outlive it.
  absl::Status Call();
  absl::Status CallOn(int64_t session);
  storage::Sequenced Move(const std::vector<int64_t>& ids);

  Host& host_;
  Database& database_;
  const Process& process_;
  int64_t session_ = 0;
  int64_t generation_ = 0;
};

/// One replica's way to the log.
class Log : public storage::EventLogStore {
 public:
  Log(Host& host, Database& database, const Process& process)
      : host_(host), database_(database), process_(process) {}

  absl::StatusOr<fanout::LogBounds> Bounds() override;
  absl::StatusOr<std::vector<std::shared_ptr<const events::Pack>>> Read(
      int64_t after, int64_t up_to, int64_t max_events) override;
  absl::StatusOr<int64_t> PositionBefore(absl::Time) override { return 0; }
  absl::StatusOr<int64_t> HighestOutboxId() override;
  absl::StatusOr<std::optional<fanout::LogBounds>> BoundsPast(int64_t outbox_id) override;

 private:
  // One statement: its answer is of one moment within the time it takes.
  template <typename Answer>
  absl::StatusOr<Answer> Ask(const std::function<absl::StatusOr<Answer>()>& answer);
  fanout::LogBounds Now() const;

  Host& host_;
  Database& database_;
  const Process& process_;
};

}  // namespace coder::sim
