#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::status {

/// Why an operation was refused, as a stable word that programs compare (BUILD_ACTIVE) and the
/// values it concerns.
struct ErrorReason {
  std::string reason;
  std::map<std::string, std::string> metadata;
};

/// One field of a request that was not acceptable, by its path in the request.
struct FieldViolation {
  std::string field;
  std::string description;
};

/// Returns `status` carrying a reason; an earlier reason is replaced. OK stays OK.
absl::Status WithReason(absl::Status status, absl::string_view reason,
                        const std::map<std::string, std::string>& metadata = {});

/// Returns `status` with one more field violation. OK stays OK.
absl::Status WithFieldViolation(absl::Status status, absl::string_view field,
                                absl::string_view description);

/// Returns `status` telling the caller not to retry before `delay` has passed. OK stays OK.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

/// Returns `status` marked as holding a foreign system's text in its message: the edge logs the
/// message and sends a neutral sentence in its place. OK stays OK.
absl::Status WithInternalDetail(absl::Status status);

/// The reason attached to `status`, or nothing.
std::optional<ErrorReason> ReasonOf(const absl::Status& status);

/// The field violations attached to `status`, in the order they were added.
std::vector<FieldViolation> FieldViolationsOf(const absl::Status& status);

/// The delay attached to `status`, or nothing.
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);

/// Whether the message of `status` holds text that must not leave the process but for its log.
bool HasInternalDetail(const absl::Status& status);

/// Returns `status` with "<attempt>: " before its message; code and payloads stay. OK stays OK.
absl::Status Prefix(const absl::Status& status, absl::string_view attempt);

}  // namespace coder::status
