#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/pg/connection.h"

namespace coder::pg {

/// Bounds of a pool.
struct PoolOptions {
  ConnectOptions connect;
  /// Sessions open at once.
  int max_connections = 10;
  /// Callers that may wait for a session at once; more are refused.
  int max_waiting = 1000;
  /// A session older than this, less up to a tenth by chance, is closed when it is given back.
  absl::Duration max_lifetime = absl::Minutes(30);
  /// After a failed connect nobody tries again for a random time up to a bound, which starts at
  /// the first value and doubles with each failure in a row up to the second.
  absl::Duration min_backoff = absl::Milliseconds(50);
  absl::Duration max_backoff = absl::Seconds(1);
};

/// What a pool is doing at one moment, and what it has done since its start.
struct PoolStats {
  int in_use = 0;
  int idle = 0;
  /// Callers waiting for a session. Above zero for long: the pool or the database is too small.
  int waiting = 0;
  int64_t opened = 0;
  int64_t connect_failures = 0;
  /// Sessions closed because they broke or were canceled; rising steadily means trouble.
  int64_t discarded = 0;
  int64_t acquired = 0;
  /// Time all acquirers together have spent until they had a session.
  absl::Duration acquire_time = absl::ZeroDuration();
};

class Pool;

/// A session on loan; gives it back when destroyed. Move-only, one thread at a time, and must not
/// outlive its pool.
class PooledConnection {
 public:
  PooledConnection(PooledConnection&&) = default;
  PooledConnection& operator=(PooledConnection&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(connection_, other.connection_);
    std::swap(expires_, other.expires_);
    return *this;
  }
  ~PooledConnection();

  Connection* operator->() const { return connection_.get(); }
  Connection& operator*() const { return *connection_; }

 private:
  friend class Pool;
  PooledConnection(Pool* pool, std::unique_ptr<Connection> connection, absl::Duration expires)
      : pool_(pool), connection_(std::move(connection)), expires_(expires) {}

  Pool* pool_;
  std::unique_ptr<Connection> connection_;
  absl::Duration expires_;
};

/// A bounded set of sessions, opened when needed. Thread-safe.
class Pool {
 public:
  explicit Pool(PoolOptions options);

  /// All loans must have been given back.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Lends a session: an idle one that is still open, else a new one, else waits for one.
  ///   DEADLINE_EXCEEDED   none became free before the deadline
  ///   RESOURCE_EXHAUSTED  too many callers wait already
  ///   UNAVAILABLE         the database cannot be reached; with a retry delay while backing off
  ///   INVALID_ARGUMENT    the conninfo cannot be parsed
  absl::StatusOr<PooledConnection> Acquire(clock::Deadline deadline);

  /// Acquires, runs one statement that commits by itself, and gives back.
  absl::StatusOr<Result> Execute(std::string sql, std::vector<Param> params,
                                 clock::Deadline deadline);

  PoolStats Stats() const;

 private:
  friend class PooledConnection;

  struct Idle {
    std::unique_ptr<Connection> connection;
    absl::Duration expires;
  };

  absl::Status AwaitTurn(std::unique_lock<std::mutex>& lock, clock::Deadline deadline);
  std::unique_ptr<Idle> TakeAlive(std::unique_lock<std::mutex>& lock);
  absl::StatusOr<PooledConnection> OpenNew(std::unique_lock<std::mutex>& lock);
  void RecordConnectFailure(const absl::Status& failure);
  void GiveBack(std::unique_ptr<Connection> connection, absl::Duration expires);

  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  // All below guarded by mutex_. A session being opened counts as in use.
  std::vector<Idle> idle_;
  PoolStats stats_;
  int failures_in_row_ = 0;
  absl::Duration next_connect_ = absl::ZeroDuration();
  absl::Status last_failure_;
  std::mt19937_64 random_{std::random_device()()};
};

}  // namespace coder::pg
