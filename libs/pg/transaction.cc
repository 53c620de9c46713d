#include "libs/pg/transaction.h"

#include <algorithm>
#include <random>
#include <stop_token>

#include "absl/strings/str_cat.h"
#include "libs/clock/system_clock.h"
#include "libs/failpoint/failpoint.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::pg {
namespace {

// A COMMIT that was sent is worth waiting for beyond the deadline: giving up leaves its outcome
// unknown.
constexpr absl::Duration kCommitPatience = absl::Seconds(5);

constexpr absl::Duration kRollbackPatience = absl::Seconds(1);
constexpr absl::Duration kFirstPause = absl::Milliseconds(5);
constexpr absl::Duration kLongestPause = absl::Milliseconds(200);

std::string BeginText(const TransactionOptions& options) {
  const char* isolation = "READ COMMITTED";
  if (options.isolation == Isolation::kRepeatableRead) isolation = "REPEATABLE READ";
  if (options.isolation == Isolation::kSerializable) isolation = "SERIALIZABLE";
  return absl::StrCat("BEGIN ISOLATION LEVEL ", isolation, options.read_only ? " READ ONLY" : "");
}

bool LeavesOutcomeOpen(const absl::Status& status) {
  return IsConnectionLost(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

Transaction::Transaction(Connection& connection, const TransactionOptions& options)
    : connection_(connection), deadline_(options.deadline), begin_(BeginText(options)) {}

Transaction::~Transaction() {
  if (begun_ && !ended_) Rollback();
}

absl::StatusOr<Result> Transaction::Execute(std::string sql, std::vector<Param> params, Plan plan) {
  Pipeline one;
  one.Add(std::move(sql), std::move(params), plan);
  ASSIGN_OR_RETURN(std::vector<Result> results, Execute(one));
  return std::move(results.front());
}

absl::StatusOr<std::vector<Result>> Transaction::Execute(const Pipeline& pipeline) {
  if (ended_) {
    return absl::FailedPreconditionError("run statement: its transaction has ended already");
  }
  if (pipeline.size() == 0) return std::vector<Result>();
  return begun_ ? connection_.Execute(pipeline, deadline_) : Begin(pipeline);
}

absl::StatusOr<std::vector<Result>> Transaction::Begin(const Pipeline& pipeline) {
  Pipeline with_begin;
  with_begin.Add(begin_);
  for (const Query& query : pipeline.queries()) {
    with_begin.Add(query.sql, query.params, query.plan);
  }
  absl::StatusOr<std::vector<Result>> results = connection_.Execute(with_begin, deadline_);
  begun_ = true;
  if (results.ok()) results->erase(results->begin());
  return results;
}

absl::Status Transaction::Commit() {
  if (ended_) return absl::FailedPreconditionError("commit: the transaction has ended already");
  if (!begun_) {
    ended_ = true;
    return absl::OkStatus();
  }
  if (deadline_.Expired()) {
    Rollback();
    return absl::DeadlineExceededError("commit: the deadline passed before; rolled back");
  }
  if (!connection_.reusable()) {
    ended_ = true;
    return ConnectionLost("commit: the database session was lost before; rolled back");
  }
  ended_ = true;
  failpoint::Hit("pg.before_commit");
  const auto patience = std::max(deadline_.Remaining(), kCommitPatience);
  absl::StatusOr<Result> committed =
      connection_.Execute("COMMIT", {}, clock::Deadline::After(patience));
  failpoint::Hit("pg.after_commit");
  if (!committed.ok()) {
    if (!LeavesOutcomeOpen(committed.status())) return committed.status();
    return status::WithInternalDetail(absl::UnknownError(
        absl::StrCat("commit: whether it took effect is not known: ", committed.status().message(),
                     "; look for its effects before repeating it")));
  }
  // COMMIT of a failed transaction succeeds as a ROLLBACK.
  if (committed->command() == "COMMIT") return absl::OkStatus();
  return absl::AbortedError("commit: a statement of the transaction had failed; rolled back");
}

void Transaction::Rollback() {
  ended_ = true;
  if (!connection_.reusable() || connection_.outside_transaction()) return;
  // A session that cannot roll back is still inside its transaction, so the pool closes it.
  connection_.Execute("ROLLBACK", {}, clock::Deadline::After(kRollbackPatience)).IgnoreError();
}

bool MayRunAgain(const absl::Status& status, int attempt, const TransactionOptions& options) {
  if (!IsTransactionConflict(status) || attempt >= options.max_attempts) return false;
  std::minstd_rand random(std::random_device{}());
  const absl::Duration bound = std::min(kLongestPause, kFirstPause * (1 << std::min(attempt, 10)));
  const absl::Duration pause = bound * std::uniform_real_distribution(0.0, 1.0)(random);
  if (pause >= options.deadline.Remaining()) return false;
  clock::SystemClock().Wait(pause, std::stop_token());
  return true;
}

}  // namespace coder::pg
