#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/clock/deadline.h"
#include "libs/pg/connect_options.h"
#include "libs/pg/param.h"
#include "libs/pg/pipeline.h"
#include "libs/pg/result.h"

struct pg_conn;

namespace coder::pg {

/// One session. Used by one thread at a time, which the Pool sees to. Every statement is prepared
/// on its first use and found again by its text, so statement texts should be constants; one with
/// Plan::kFresh is planned each time.
///
/// Every method returns, besides what sqlstate.h lists: DEADLINE_EXCEEDED when the deadline passed
/// before the answer (the statement is canceled at the server), UNAVAILABLE when the session was
/// lost, INVALID_ARGUMENT for a text parameter with a zero byte (nothing is sent).
class Connection {
 public:
  /// Opens a session, trying each host for at most `connect_timeout`. UNAVAILABLE when none
  /// answers or the server refuses; INVALID_ARGUMENT when the conninfo cannot be parsed.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectOptions& options);

  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs one statement; outside BEGIN it commits by itself. UNAVAILABLE then leaves open whether
  /// a write took effect.
  absl::StatusOr<Result> Execute(std::string sql, std::vector<Param> params,
                                 clock::Deadline deadline);

  /// Runs all statements in one round trip and returns one result for each. Outside BEGIN they are
  /// one transaction: all take effect, or none. The error is that of the first failing statement.
  absl::StatusOr<std::vector<Result>> Execute(const Pipeline& pipeline, clock::Deadline deadline);

  /// Runs a text of several statements without parameters, as migrations are. Outside BEGIN they
  /// are one transaction.
  absl::Status ExecuteScript(const std::string& sql, clock::Deadline deadline);

  /// False once the session was lost, was canceled or holds plans made stale by a migration; such
  /// a connection must not be used for new work.
  bool reusable() const { return reusable_; }

  /// Whether no transaction is open: false between BEGIN and its end, and when unknown.
  bool outside_transaction() const;

  /// Whether the idle session is still open, judged without a round trip.
  bool AliveWhenIdle() const;

  /// The server's process id of this session, as pg_terminate_backend takes it.
  int backend_pid() const;

 private:
  struct Reply;

  Connection(pg_conn* conn, absl::Duration statement_timeout);

  absl::Status CheckUsable(const std::vector<Query>& queries, clock::Deadline deadline) const;
  absl::StatusOr<std::vector<Result>> RoundTrip(const std::vector<Query>& queries,
                                                clock::Deadline deadline);
  absl::StatusOr<std::vector<Reply>> Send(const std::vector<Query>& queries);
  bool SendQuery(const Query& query, const std::string* prepared_name);
  absl::StatusOr<std::vector<Result>> Receive(const std::vector<Reply>& replies,
                                              const std::vector<Query>& queries,
                                              clock::Deadline deadline);
  absl::Status AwaitReply(clock::Deadline deadline);
  absl::Status Lost();
  absl::Status ErrorOf(const pg_result* result);
  void Cancel();

  pg_conn* const conn_;
  const absl::Duration statement_timeout_;
  bool reusable_ = true;
  bool canceled_ = false;
  // Statement text -> its name at the server.
  std::unordered_map<std::string, std::string> prepared_;
  uint64_t names_given_ = 0;
};

}  // namespace coder::pg
