#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/pg/connection.h"
#include "libs/pg/pool.h"

namespace coder::pg {

enum class Isolation { kReadCommitted, kRepeatableRead, kSerializable };

/// How to run a transaction.
struct TransactionOptions {
  /// For everything together: waiting for a session, every statement, every repetition.
  clock::Deadline deadline;
  Isolation isolation = Isolation::kReadCommitted;
  bool read_only = false;
  /// How often the body runs at most when it loses against other transactions.
  int max_attempts = 5;
};

/// An open transaction; rolled back when destroyed before Commit succeeded. BEGIN travels with the
/// first statement, so opening one costs no round trip, and one without a statement costs nothing.
/// One thread at a time; borrows its connection.
class Transaction {
 public:
  Transaction(Connection& connection, const TransactionOptions& options);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// As Connection::Execute, within the transaction. After an error only the end of the
  /// transaction is left.
  absl::StatusOr<Result> Execute(std::string sql, std::vector<Param> params = {},
                                 Plan plan = Plan::kKept);
  absl::StatusOr<std::vector<Result>> Execute(const Pipeline& pipeline);

  /// Commits.
  ///   UNKNOWN            the session was lost, or no answer came, after COMMIT was sent: the
  ///                      transaction may or may not have taken effect. Find out by its effects,
  ///                      such as the request id it stored; repeating it blindly may double them.
  ///   DEADLINE_EXCEEDED  the deadline had passed before COMMIT was sent; rolled back
  ///   ABORTED            a statement had failed before; rolled back
  ///   others             as sqlstate.h, from deferred constraints and serialization; rolled back
  absl::Status Commit();

 private:
  absl::StatusOr<std::vector<Result>> Begin(const Pipeline& pipeline);
  void Rollback();

  Connection& connection_;
  const clock::Deadline deadline_;
  const std::string begin_;
  bool begun_ = false;
  bool ended_ = false;
};

/// Waits a short random time before the repetition after `attempt` (from 1). Returns false when
/// `status` is no conflict (IsTransactionConflict), or attempts or time are used up.
bool MayRunAgain(const absl::Status& status, int attempt, const TransactionOptions& options);

/// Runs `body(Transaction&)`, which returns absl::Status or absl::StatusOr<T>, in a transaction
/// that is committed when the body returns OK and rolled back otherwise. When it loses against
/// another transaction (serialization failure, deadlock) all of it runs again, so **the body may
/// run several times and must keep no state outside itself**. Returns the body's error, or those
/// of Pool::Acquire and Transaction::Commit; UNKNOWN from Commit is never followed by a repetition.
template <typename Body>
std::invoke_result_t<Body, Transaction&> RunInTransaction(Pool& pool,
                                                          const TransactionOptions& options,
                                                          Body body) {
  using Outcome = std::invoke_result_t<Body, Transaction&>;
  const auto status_of = [](const Outcome& outcome) -> const absl::Status& {
    if constexpr (std::is_same_v<Outcome, absl::Status>) {
      return outcome;
    } else {
      return outcome.status();
    }
  };
  const auto run_once = [&]() -> Outcome {
    absl::StatusOr<PooledConnection> connection = pool.Acquire(options.deadline);
    if (!connection.ok()) return connection.status();
    Transaction transaction(**connection, options);
    Outcome outcome = body(transaction);
    if (!status_of(outcome).ok()) return outcome;
    if (absl::Status committed = transaction.Commit(); !committed.ok()) return committed;
    return outcome;
  };
  for (int attempt = 1;; ++attempt) {
    Outcome outcome = run_once();
    if (!MayRunAgain(status_of(outcome), attempt, options)) return outcome;
  }
}

}  // namespace coder::pg
