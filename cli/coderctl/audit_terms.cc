#include "cli/coderctl/audit_terms.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "cli/coderctl/duration_text.h"
#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

absl::StatusOr<absl::Time> TimeOf(const std::string& text, absl::Time now) {
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return time;
  const auto ago = ParseDurationText(text);
  if (ago.ok()) return now - *ago;
  return absl::InvalidArgumentError(absl::StrCat(
      "read time '", text, "': neither a time nor how long ago; use 2026-03-01T00:00:00Z or 24h"));
}

absl::StatusOr<api::v1::AuditAction> ActionOf(const std::string& word) {
  api::v1::AuditAction action = api::v1::AUDIT_ACTION_UNSPECIFIED;
  if (word.empty()) return action;
  const std::string name = absl::StrCat("AUDIT_ACTION_", absl::AsciiStrToUpper(word));
  if (api::v1::AuditAction_Parse(name, &action) && action != api::v1::AUDIT_ACTION_UNSPECIFIED) {
    return action;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("read action '", word,
                   "': it is none; use create, write, delete, start, stop, login or logout"));
}

}  // namespace

absl::StatusOr<api::v1::ListAuditLogsRequest> AuditRequest(const AuditTerms& terms,
                                                           absl::Time now) {
  api::v1::ListAuditLogsRequest request;
  request.set_organization(terms.organization);
  request.set_actor(terms.user);
  request.set_resource(terms.resource);
  request.set_resource_type(terms.resource_type);
  ASSIGN_OR_RETURN(const api::v1::AuditAction action, ActionOf(terms.action));
  request.set_action(action);
  if (terms.denied) request.set_outcome(api::v1::AUDIT_OUTCOME_DENIED);
  if (terms.failed) request.set_outcome(api::v1::AUDIT_OUTCOME_FAILED);
  if (!terms.since.empty()) {
    ASSIGN_OR_RETURN(const absl::Time since, TimeOf(terms.since, now));
    *request.mutable_start_time() = events::ToProto(since);
  }
  if (!terms.until.empty()) {
    ASSIGN_OR_RETURN(const absl::Time until, TimeOf(terms.until, now));
    *request.mutable_end_time() = events::ToProto(until);
  }
  return request;
}

}  // namespace coder::cli
