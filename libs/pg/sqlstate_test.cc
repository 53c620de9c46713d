#include "libs/pg/sqlstate.h"

#include <catch2/catch.hpp>

#include "libs/status/error_reason.h"

namespace coder::pg {
namespace {

TEST_CASE("each class of server error has its code") {
  struct Row {
    const char* sqlstate;
    absl::StatusCode code;
  };
  const Row rows[] = {
      {"23505", absl::StatusCode::kAlreadyExists},
      {"23503", absl::StatusCode::kFailedPrecondition},
      {"23514", absl::StatusCode::kInvalidArgument},
      {"23502", absl::StatusCode::kInvalidArgument},
      {"22P02", absl::StatusCode::kInvalidArgument},
      {"40001", absl::StatusCode::kAborted},
      {"40P01", absl::StatusCode::kAborted},
      {"55P03", absl::StatusCode::kAborted},
      {"57014", absl::StatusCode::kDeadlineExceeded},
      {"42501", absl::StatusCode::kPermissionDenied},
      {"57P01", absl::StatusCode::kUnavailable},
      {"08006", absl::StatusCode::kUnavailable},
      {"53300", absl::StatusCode::kUnavailable},
      {"53100", absl::StatusCode::kResourceExhausted},
      {"42P01", absl::StatusCode::kInternal},
      {"XX000", absl::StatusCode::kInternal},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.sqlstate) {
      const absl::Status status = ToStatus({.sqlstate = row.sqlstate, .message = "text"});
      CHECK(status.code() == row.code);
      CHECK(SqlState(status) == row.sqlstate);
      CHECK(status::HasInternalDetail(status));
    }
  }
}

TEST_CASE("a violated constraint can be named, also behind a prefix") {
  const absl::Status status = status::Prefix(
      ToStatus({.sqlstate = "23505", .message = "duplicate", .constraint = "users_email_key"}),
      "create user x");
  CHECK(ConstraintName(status) == "users_email_key");
  CHECK(ConstraintName(absl::AlreadyExistsError("x")).empty());
}

TEST_CASE("conflicts and lost sessions are told apart from other errors of the same code") {
  CHECK(IsTransactionConflict(ToStatus({.sqlstate = "40001"})));
  CHECK(IsTransactionConflict(ToStatus({.sqlstate = "40P01"})));
  CHECK_FALSE(IsTransactionConflict(ToStatus({.sqlstate = "55P03"})));
  CHECK_FALSE(IsTransactionConflict(absl::AbortedError("etag differs")));
  CHECK(IsConnectionLost(ConnectionLost("reset")));
  CHECK(IsConnectionLost(ToStatus({.sqlstate = "57P01"})));
  CHECK_FALSE(IsConnectionLost(absl::UnavailableError("draining")));
}

}  // namespace
}  // namespace coder::pg
