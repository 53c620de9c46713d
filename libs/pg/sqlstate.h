#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace coder::pg {

/// What PostgreSQL said about a failed statement. `constraint` is empty unless one was violated.
struct ServerError {
  std::string sqlstate;
  std::string message;
  std::string constraint;
};

/// Translates a server error once and for all:
///   unique violation                         ALREADY_EXISTS
///   foreign key, exclusion, restrict         FAILED_PRECONDITION
///   check, not null, data (class 22)         INVALID_ARGUMENT
///   serialization, deadlock, changed plan    ABORTED
///   lock not available                       ABORTED
///   canceled (also by a statement timeout)   DEADLINE_EXCEEDED
///   insufficient privilege                   PERMISSION_DENIED
///   read-only session, connection, shutdown  UNAVAILABLE
///   out of memory, disk or connections       RESOURCE_EXHAUSTED (connections: UNAVAILABLE)
///   anything else                            INTERNAL
/// The status is marked as internal detail (libs/status) and answers the questions below.
absl::Status ToStatus(const ServerError& error);

/// A status for a connection that could not be opened or was lost: UNAVAILABLE, internal detail.
absl::Status ConnectionLost(absl::string_view driver_text);

/// The five characters behind a status made by ToStatus, or empty.
std::string SqlState(const absl::Status& status);

/// The name of the violated constraint or unique index, or empty.
std::string ConstraintName(const absl::Status& status);

/// Whether the transaction lost against another one and may succeed if all of it is run again:
/// serialization failure, deadlock or a statement whose plan a migration invalidated.
bool IsTransactionConflict(const absl::Status& status);

/// Whether the session itself ended: the connection was lost, or the server is shutting down.
bool IsConnectionLost(const absl::Status& status);

}  // namespace coder::pg
