#include "libs/pg/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/pg/session_parameters.h"
#include "libs/pg/sqlstate.h"
#include "libs/status/status_macros.h"

namespace coder::pg {
namespace {

// A program has a few hundred statement texts; more means that texts are being composed, and those
// are not worth the server's memory.
constexpr size_t kMostPrepared = 500;

// The server's own statement_timeout answers a passed deadline without a second connection, so it
// gets this head start before the statement is canceled from here.
constexpr absl::Duration kServerHeadStart = absl::Milliseconds(50);

// How long a canceled statement may take to say so before the session is given up.
constexpr absl::Duration kCancelGrace = absl::Seconds(1);

// The setting is a 32-bit number of milliseconds.
constexpr int64_t kLongestStatementMillis = 2'000'000'000;

constexpr char kLowerStatementTimeout[] = "SELECT set_config('statement_timeout', $1, true)";

std::string Field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : text;
}

bool BeginsTransaction(const std::string& sql) { return sql.compare(0, 5, "BEGIN") == 0; }

}  // namespace

// What one reply of the server will be about.
struct Connection::Reply {
  size_t query;
  std::optional<std::string> prepared_name;  // set: the reply to preparing it
};

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectOptions& options) {
  ASSIGN_OR_RETURN(const SessionParameters parameters, SessionParameters::From(options));
  pg_conn* conn = PQconnectdbParams(parameters.keywords(), parameters.values(), 1);
  if (PQstatus(conn) != CONNECTION_OK || PQsetnonblocking(conn, 1) != 0 ||
      PQenterPipelineMode(conn) != 1) {
    absl::Status lost = ConnectionLost(absl::StrCat(
        "connect to the database: ", absl::StripAsciiWhitespace(PQerrorMessage(conn)),
        "; check the address, the credentials and that the server accepts connections"));
    PQfinish(conn);
    return lost;
  }
  PQsetNoticeProcessor(
      conn, [](void*, const char*) {}, nullptr);
  return std::unique_ptr<Connection>(new Connection(conn, options.statement_timeout));
}

Connection::Connection(pg_conn* conn, absl::Duration statement_timeout)
    : conn_(conn), statement_timeout_(statement_timeout) {}

Connection::~Connection() { PQfinish(conn_); }

absl::StatusOr<Result> Connection::Execute(std::string sql, std::vector<Param> params,
                                           clock::Deadline deadline) {
  Pipeline one;
  one.Add(std::move(sql), std::move(params));
  ASSIGN_OR_RETURN(std::vector<Result> results, Execute(one, deadline));
  return std::move(results.front());
}

absl::StatusOr<std::vector<Result>> Connection::Execute(const Pipeline& pipeline,
                                                        clock::Deadline deadline) {
  if (pipeline.size() == 0) return std::vector<Result>();
  RETURN_IF_ERROR(CheckUsable(pipeline.queries(), deadline));
  const absl::Duration left = deadline.Remaining();
  const bool nearer = statement_timeout_ == absl::ZeroDuration() || left < statement_timeout_;
  if (!outside_transaction() || left == absl::InfiniteDuration() || !nearer) {
    return RoundTrip(pipeline.queries(), deadline);
  }
  // The limit lasts until the end of the transaction, so it must come after a BEGIN.
  std::vector<Query> queries = pipeline.queries();
  const size_t at = BeginsTransaction(queries.front().sql) ? 1 : 0;
  const int64_t millis =
      std::clamp<int64_t>(absl::ToInt64Milliseconds(left), 1, kLongestStatementMillis);
  queries.insert(queries.begin() + at, {kLowerStatementTimeout, {absl::StrCat(millis)}});
  ASSIGN_OR_RETURN(std::vector<Result> results, RoundTrip(queries, deadline));
  results.erase(results.begin() + at);
  return results;
}

absl::Status Connection::CheckUsable(const std::vector<Query>& queries,
                                     clock::Deadline deadline) const {
  if (PQstatus(conn_) != CONNECTION_OK) {
    return ConnectionLost("run statement: the database session was lost before");
  }
  if (deadline.Expired()) {
    return absl::DeadlineExceededError("run statement: the deadline passed before it was sent");
  }
  for (const Query& query : queries) {
    for (size_t i = 0; i < query.params.size(); ++i) {
      if (query.params[i].valid()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("run statement: text value $", i + 1, " contains a zero byte; remove it"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Result>> Connection::RoundTrip(const std::vector<Query>& queries,
                                                          clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<Reply> replies, Send(queries));
  return Receive(replies, queries, deadline);
}

absl::StatusOr<std::vector<Connection::Reply>> Connection::Send(const std::vector<Query>& queries) {
  std::vector<Reply> replies;
  std::unordered_map<std::string, std::string> preparing;
  for (size_t i = 0; i < queries.size(); ++i) {
    const Query& query = queries[i];
    const std::string* name = nullptr;
    if (query.plan == Plan::kFresh) {
      // Sent without a name: planned for its parameters, and gone.
    } else if (const auto known = prepared_.find(query.sql); known != prepared_.end()) {
      name = &known->second;
    } else if (const auto soon = preparing.find(query.sql); soon != preparing.end()) {
      name = &soon->second;
    } else if (prepared_.size() + preparing.size() < kMostPrepared) {
      name = &preparing.emplace(query.sql, absl::StrCat("s", ++names_given_)).first->second;
      if (PQsendPrepare(conn_, name->c_str(), query.sql.c_str(), 0, nullptr) != 1) return Lost();
      replies.push_back({i, *name});
    }
    if (!SendQuery(query, name)) return Lost();
    replies.push_back({i, std::nullopt});
  }
  if (PQpipelineSync(conn_) != 1) return Lost();
  return replies;
}

bool Connection::SendQuery(const Query& query, const std::string* prepared_name) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
  for (const Param& param : query.params) {
    values.push_back(param.is_null() ? nullptr : param.bytes().data());
    lengths.push_back(static_cast<int>(param.bytes().size()));
    formats.push_back(param.binary() ? 1 : 0);
  }
  const int count = static_cast<int>(values.size());
  constexpr int kBinaryResults = 1;
  return prepared_name != nullptr
             ? PQsendQueryPrepared(conn_, prepared_name->c_str(), count, values.data(),
                                   lengths.data(), formats.data(), kBinaryResults) == 1
             : PQsendQueryParams(conn_, query.sql.c_str(), count, nullptr, values.data(),
                                 lengths.data(), formats.data(), kBinaryResults) == 1;
}

absl::StatusOr<std::vector<Result>> Connection::Receive(const std::vector<Reply>& replies,
                                                        const std::vector<Query>& queries,
                                                        clock::Deadline deadline) {
  std::vector<Result> results;
  absl::Status failure;
  size_t at = 0;
  canceled_ = false;
  while (true) {
    if (absl::Status waited = AwaitReply(deadline); !waited.ok()) {
      return failure.ok() ? waited : failure;
    }
    PGresult* const result = PQgetResult(conn_);
    if (result == nullptr) {
      if (PQstatus(conn_) != CONNECTION_OK) return failure.ok() ? Lost() : failure;
      ++at;
      continue;
    }
    Result owned(result);
    switch (PQresultStatus(result)) {
      case PGRES_PIPELINE_SYNC:
        if (failure.ok()) return results;
        return failure;
      case PGRES_PIPELINE_ABORTED:
        break;
      case PGRES_COMMAND_OK:
      case PGRES_TUPLES_OK:
        if (replies[at].prepared_name) {
          prepared_[queries[replies[at].query].sql] = *replies[at].prepared_name;
        } else {
          results.push_back(std::move(owned));
        }
        break;
      default:
        if (failure.ok()) failure = ErrorOf(result);
    }
  }
}

absl::Status Connection::AwaitReply(clock::Deadline deadline) {
  while (true) {
    const int unsent = PQflush(conn_);
    if (unsent < 0) return Lost();
    if (unsent == 0 && PQisBusy(conn_) == 0) return absl::OkStatus();
    // Reading while there is still something to send keeps both sides' buffers from filling up.
    pollfd ready{.fd = PQsocket(conn_),
                 .events = static_cast<int16_t>(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
    const absl::Duration grace = canceled_ ? kServerHeadStart + kCancelGrace : kServerHeadStart;
    const absl::Duration left = std::min(deadline.Remaining() + grace, absl::Hours(1));
    const int millis = static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    if (left <= absl::ZeroDuration()) {
      if (canceled_) {
        reusable_ = false;
        return absl::DeadlineExceededError(
            "run statement: the server did not answer in time, nor when it was canceled");
      }
      Cancel();
      continue;
    }
    if (poll(&ready, 1, millis) > 0 && (ready.revents & ~POLLOUT) != 0 &&
        PQconsumeInput(conn_) != 1) {
      // A last word of the server, such as its shutdown notice, may already be buffered.
      if (PQisBusy(conn_) == 0) return absl::OkStatus();
      return Lost();
    }
  }
}

void Connection::Cancel() {
  // A cancel request may strike whatever runs later, so this session gets no new work.
  reusable_ = false;
  canceled_ = true;
  PGcancel* const cancel = PQgetCancel(conn_);
  char error[256];
  PQcancel(cancel, error, sizeof(error));
  PQfreeCancel(cancel);
}

absl::Status Connection::Lost() {
  reusable_ = false;
  return ConnectionLost(absl::StrCat("run statement: the database session was lost: ",
                                     absl::StripAsciiWhitespace(PQerrorMessage(conn_))));
}

absl::Status Connection::ErrorOf(const pg_result* result) {
  const std::string state = Field(result, PG_DIAG_SQLSTATE);
  if (state.empty()) return Lost();
  absl::Status status =
      ToStatus({.sqlstate = state,
                .message = absl::StrCat("run statement: ", Field(result, PG_DIAG_MESSAGE_PRIMARY)),
                .constraint = Field(result, PG_DIAG_CONSTRAINT_NAME)});
  const bool stale_plan = absl::IsAborted(status) && state[0] != '4' && state[0] != '5';
  if (IsConnectionLost(status) || stale_plan) reusable_ = false;
  return status;
}

absl::Status Connection::ExecuteScript(const std::string& sql, clock::Deadline deadline) {
  RETURN_IF_ERROR(CheckUsable({}, deadline));
  // Several statements in one text need the simple protocol, which pipeline mode excludes.
  if (PQexitPipelineMode(conn_) != 1 || PQsendQuery(conn_, sql.c_str()) != 1) return Lost();
  absl::Status failure;
  canceled_ = false;
  while (true) {
    RETURN_IF_ERROR(AwaitReply(deadline));
    PGresult* const result = PQgetResult(conn_);
    if (result == nullptr) break;
    const Result owned(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY &&
        failure.ok()) {
      failure = ErrorOf(result);
    }
  }
  if (PQenterPipelineMode(conn_) != 1 && failure.ok()) return Lost();
  return failure;
}

bool Connection::outside_transaction() const { return PQtransactionStatus(conn_) == PQTRANS_IDLE; }

bool Connection::AliveWhenIdle() const {
  // An idle session hears only of its own end or, rarely, of a changed setting of the server.
  pollfd readable{.fd = PQsocket(conn_), .events = POLLIN};
  return reusable_ && PQstatus(conn_) == CONNECTION_OK && poll(&readable, 1, 0) == 0;
}

int Connection::backend_pid() const { return PQbackendPID(conn_); }

}  // namespace coder::pg
