#include "libs/pg/sqlstate.h"

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"

namespace coder::pg {
namespace {

constexpr char kSqlStateUrl[] = "coder.sqlstate";
constexpr char kConstraintUrl[] = "coder.constraint";
constexpr char kSerializationFailure[] = "40001";
constexpr char kDeadlockDetected[] = "40P01";
// "cached plan must not change result type" after a migration altered a table.
constexpr char kFeatureNotSupported[] = "0A000";
constexpr char kUnknownStatement[] = "26000";
// libpq's own state for a lost connection: class 08, connection exception.
constexpr char kConnectionFailure[] = "08006";

struct CodeRow {
  absl::string_view sqlstate_prefix;
  absl::StatusCode code;
};

// The first matching prefix decides.
constexpr CodeRow kCodes[] = {
    {"23505", absl::StatusCode::kAlreadyExists},
    {"23502", absl::StatusCode::kInvalidArgument},
    {"23514", absl::StatusCode::kInvalidArgument},
    {"23", absl::StatusCode::kFailedPrecondition},
    {"22", absl::StatusCode::kInvalidArgument},
    {"25006", absl::StatusCode::kUnavailable},
    {"25P03", absl::StatusCode::kUnavailable},
    {"40", absl::StatusCode::kAborted},
    {kFeatureNotSupported, absl::StatusCode::kAborted},
    {kUnknownStatement, absl::StatusCode::kAborted},
    {"55P03", absl::StatusCode::kAborted},
    {"57014", absl::StatusCode::kDeadlineExceeded},
    {"42501", absl::StatusCode::kPermissionDenied},
    {"08", absl::StatusCode::kUnavailable},
    {"57P", absl::StatusCode::kUnavailable},
    {"53300", absl::StatusCode::kUnavailable},
    {"53", absl::StatusCode::kResourceExhausted},
};

absl::StatusCode CodeOf(absl::string_view sqlstate) {
  for (const CodeRow& row : kCodes) {
    if (absl::StartsWith(sqlstate, row.sqlstate_prefix)) return row.code;
  }
  return absl::StatusCode::kInternal;
}

std::string TextPayload(const absl::Status& status, absl::string_view url) {
  const auto payload = status.GetPayload(url);
  return payload ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status ToStatus(const ServerError& error) {
  absl::Status status(CodeOf(error.sqlstate),
                      absl::StrCat(error.message, " (SQLSTATE ", error.sqlstate, ")"));
  status.SetPayload(kSqlStateUrl, absl::Cord(error.sqlstate));
  if (!error.constraint.empty()) status.SetPayload(kConstraintUrl, absl::Cord(error.constraint));
  return status::WithInternalDetail(std::move(status));
}

absl::Status ConnectionLost(absl::string_view driver_text) {
  return ToStatus({.sqlstate = kConnectionFailure, .message = std::string(driver_text)});
}

std::string SqlState(const absl::Status& status) { return TextPayload(status, kSqlStateUrl); }

std::string ConstraintName(const absl::Status& status) {
  return TextPayload(status, kConstraintUrl);
}

bool IsTransactionConflict(const absl::Status& status) {
  const std::string state = SqlState(status);
  return state == kSerializationFailure || state == kDeadlockDetected ||
         state == kFeatureNotSupported || state == kUnknownStatement;
}

bool IsConnectionLost(const absl::Status& status) {
  const std::string state = SqlState(status);
  return absl::StartsWith(state, "08") || absl::StartsWith(state, "57P") || state == "25P03";
}

}  // namespace coder::pg
