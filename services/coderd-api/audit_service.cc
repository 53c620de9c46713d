#include "services/coderd-api/audit_service.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/events/proto_time.h"
#include "libs/status/status_macros.h"
#include "libs/storage/page_token.h"
#include "services/coderd-api/proto_convert_audit.h"
#include "services/coderd-api/references.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using auth::Action;
using storage::AuditRecord;

// Everything the list is narrowed by.
std::string FilterText(const CallContext& call, v1::ListAuditLogsRequest request) {
  request.clear_page_size();
  request.clear_page_token();
  return absl::StrCat(call.caller->Identity(), "|", request.SerializeAsString());
}

absl::StatusOr<std::optional<storage::AuditPageKey>> PageKeyOf(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const size_t slash = text.find('/');
  int64_t micros = 0;
  const bool cut = slash != std::string::npos && absl::SimpleAtoi(text.substr(0, slash), &micros);
  if (!cut) return InvalidField("page_token", "is no token of this list; use the one it gave");
  ASSIGN_OR_RETURN(const auto id, ids::Uuid::Parse(text.substr(slash + 1)));
  return storage::AuditPageKey{absl::FromUnixMicros(micros), id};
}

std::string TextOf(const AuditRecord& last) {
  return absl::StrCat(absl::ToUnixMicros(last.time), "/", last.id.ToString());
}

// What the caller may see when it names no organization.
absl::StatusOr<std::optional<std::vector<lifecycle::OrganizationId>>> AllVisible(
    const CallContext& call) {
  const auth::Scope scope = auth::ScopeOf(*call.caller, Action::kReadAuditLog);
  if (scope.everything) return std::nullopt;
  if (scope.organizations.empty()) {
    return auth::Forbidden(Action::kReadAuditLog, "any organization");
  }
  return scope.organizations;
}

}  // namespace

absl::StatusOr<storage::AuditFilter> AuditService::Decode(const CallContext& call,
                                                          const v1::ListAuditLogsRequest& request) {
  storage::AuditFilter filter;
  if (request.organization().empty()) {
    ASSIGN_OR_RETURN(filter.organizations, AllVisible(call));
  } else {
    ASSIGN_OR_RETURN(const auto organization,
                     AuthorizedOrganization(organizations_, call, Action::kReadAuditLog,
                                            "organization", request.organization()));
    filter.organizations = {{organization.id}};
  }
  filter.actor = request.actor() == "me" ? call.caller->user_id.ToString() : request.actor();
  filter.resource_type = request.resource_type();
  filter.resource = request.resource();
  filter.method = request.method();
  ASSIGN_OR_RETURN(filter.action, AuditActionFromProto(request.action()));
  ASSIGN_OR_RETURN(filter.outcome, AuditOutcomeFromProto(request.outcome()));
  if (request.has_start_time()) filter.since = events::FromProto(request.start_time());
  if (request.has_end_time()) filter.until = events::FromProto(request.end_time());
  return filter;
}

absl::Status AuditService::List(const CallContext& call, const v1::ListAuditLogsRequest& request,
                                v1::ListAuditLogsResponse& response) {
  // Rights come first: whoever may not read the log learns nothing else.
  ASSIGN_OR_RETURN(const storage::AuditFilter filter, Decode(call, request));
  const std::string filter_text = FilterText(call, request);
  ASSIGN_OR_RETURN(const std::string last,
                   storage::DecodePageToken(filter_text, request.page_token()));
  ASSIGN_OR_RETURN(const auto before, PageKeyOf(last));
  const int size = storage::ClampPageSize(request.page_size());
  ASSIGN_OR_RETURN(std::vector<AuditRecord> records,
                   store_.List(filter, before, size + 1, call.deadline));
  if (records.size() > static_cast<size_t>(size)) {
    records.resize(static_cast<size_t>(size));
    response.set_next_page_token(storage::EncodePageToken(filter_text, TextOf(records.back())));
  }
  for (const AuditRecord& record : records) *response.add_audit_logs() = AuditToProto(record);
  return absl::OkStatus();
}

grpc::Status AuditService::ListAuditLogs(grpc::ServerContext* context,
                                         const v1::ListAuditLogsRequest* request,
                                         v1::ListAuditLogsResponse* response) {
  return HandleCall(gate_, context, "/coder.api.v1.AuditService/ListAuditLogs", *request,
                    [&](const CallContext& call) { return List(call, *request, *response); });
}

}  // namespace coder::api
