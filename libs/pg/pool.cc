#include "libs/pg/pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/clock/system_clock.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::pg {
namespace {

absl::Duration Monotonic() { return clock::SystemClock().MonotonicNow(); }

}  // namespace

PooledConnection::~PooledConnection() {
  if (connection_ != nullptr) pool_->GiveBack(std::move(connection_), expires_);
}

Pool::Pool(PoolOptions options) : options_(std::move(options)) {}

Pool::~Pool() = default;

absl::StatusOr<PooledConnection> Pool::Acquire(clock::Deadline deadline) {
  const absl::Duration asked = Monotonic();
  std::unique_lock lock(mutex_);
  RETURN_IF_ERROR(AwaitTurn(lock, deadline));
  ++stats_.in_use;
  absl::StatusOr<PooledConnection> lent;
  if (std::unique_ptr<Idle> alive = TakeAlive(lock)) {
    lent = PooledConnection(this, std::move(alive->connection), alive->expires);
  } else {
    lent = OpenNew(lock);
  }
  if (!lent.ok()) {
    --stats_.in_use;
    freed_.notify_one();
    return lent;
  }
  ++stats_.acquired;
  stats_.acquire_time += Monotonic() - asked;
  return lent;
}

absl::Status Pool::AwaitTurn(std::unique_lock<std::mutex>& lock, clock::Deadline deadline) {
  const auto free = [&] { return stats_.in_use < options_.max_connections; };
  if (deadline.Expired()) {
    return absl::DeadlineExceededError(
        "acquire a database session: the deadline passed before it was asked for");
  }
  if (free()) return absl::OkStatus();
  if (stats_.waiting >= options_.max_waiting) {
    return absl::ResourceExhaustedError(absl::StrCat("acquire a database session: ", stats_.waiting,
                                                     " callers wait already; try again later"));
  }
  ++stats_.waiting;
  const auto longest = std::min(deadline.Remaining(), absl::Hours(24));
  const bool became_free = freed_.wait_for(lock, absl::ToChronoNanoseconds(longest), free);
  --stats_.waiting;
  if (became_free) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("acquire a database session: all ", options_.max_connections,
                   " stayed in use until the deadline; try again later"));
}

std::unique_ptr<Pool::Idle> Pool::TakeAlive(std::unique_lock<std::mutex>& lock) {
  while (!idle_.empty()) {
    auto idle = std::make_unique<Idle>(std::move(idle_.back()));
    idle_.pop_back();
    if (idle->connection->AliveWhenIdle()) return idle;
    ++stats_.discarded;
    lock.unlock();
    idle.reset();
    lock.lock();
  }
  return nullptr;
}

absl::StatusOr<PooledConnection> Pool::OpenNew(std::unique_lock<std::mutex>& lock) {
  if (const absl::Duration pause = next_connect_ - Monotonic(); pause > absl::ZeroDuration()) {
    return status::WithRetryAfter(
        status::Prefix(last_failure_, "acquire a database session: the last attempt failed"),
        pause);
  }
  lock.unlock();
  absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(options_.connect);
  lock.lock();
  if (!opened.ok()) {
    RecordConnectFailure(opened.status());
    return opened.status();
  }
  ++stats_.opened;
  failures_in_row_ = 0;
  next_connect_ = absl::ZeroDuration();
  const double share = std::uniform_real_distribution(0.9, 1.0)(random_);
  return PooledConnection(this, *std::move(opened), Monotonic() + options_.max_lifetime * share);
}

void Pool::RecordConnectFailure(const absl::Status& failure) {
  ++stats_.connect_failures;
  constexpr int kDoublingsThatMatter = 20;
  const int doublings = std::min(failures_in_row_++, kDoublingsThatMatter);
  const absl::Duration bound =
      std::min(options_.max_backoff, options_.min_backoff * (int64_t{1} << doublings));
  next_connect_ = Monotonic() + bound * std::uniform_real_distribution(0.5, 1.0)(random_);
  last_failure_ = failure;
}

void Pool::GiveBack(std::unique_ptr<Connection> connection, absl::Duration expires) {
  const bool sound = connection->reusable() && connection->outside_transaction();
  const bool keep = sound && Monotonic() < expires;
  // Closing talks to the server, so it happens before the lock.
  if (!keep) connection.reset();
  std::lock_guard lock(mutex_);
  --stats_.in_use;
  if (keep) idle_.push_back({std::move(connection), expires});
  if (!sound) ++stats_.discarded;
  freed_.notify_one();
}

absl::StatusOr<Result> Pool::Execute(std::string sql, std::vector<Param> params,
                                     clock::Deadline deadline) {
  ASSIGN_OR_RETURN(PooledConnection connection, Acquire(deadline));
  return connection->Execute(std::move(sql), std::move(params), deadline);
}

PoolStats Pool::Stats() const {
  std::lock_guard lock(mutex_);
  PoolStats stats = stats_;
  stats.idle = static_cast<int>(idle_.size());
  return stats;
}

}  // namespace coder::pg
