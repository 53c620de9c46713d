#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coder/api/v1/audit.pb.h"

namespace coder::cli {

/// What the command line narrows the audit log to; what is empty narrows nothing.
struct AuditTerms {
  std::string organization;
  std::string user;
  std::string resource;
  std::string resource_type;
  std::string action;
  std::string since;
  std::string until;
  bool denied = false;
  bool failed = false;
  int limit = 50;
};

/// The terms as a request, without its page. INVALID_ARGUMENT for a word that is no action, and for
/// a time that is neither RFC 3339 nor a duration before `now`.
absl::StatusOr<api::v1::ListAuditLogsRequest> AuditRequest(const AuditTerms& terms, absl::Time now);

}  // namespace coder::cli
