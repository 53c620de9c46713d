#include "services/coderd-api/proto_convert_audit.h"

#include <array>
#include <utility>

#include "libs/events/proto_time.h"
#include "services/coderd-api/request_fields.h"

namespace coder::api {
namespace {

using storage::AuditAction;
using storage::AuditOutcome;

constexpr std::array<std::pair<AuditAction, v1::AuditAction>, 7> kActions = {{
    {AuditAction::kCreate, v1::AUDIT_ACTION_CREATE},
    {AuditAction::kWrite, v1::AUDIT_ACTION_WRITE},
    {AuditAction::kDelete, v1::AUDIT_ACTION_DELETE},
    {AuditAction::kStart, v1::AUDIT_ACTION_START},
    {AuditAction::kStop, v1::AUDIT_ACTION_STOP},
    {AuditAction::kLogin, v1::AUDIT_ACTION_LOGIN},
    {AuditAction::kLogout, v1::AUDIT_ACTION_LOGOUT},
}};
constexpr std::array<std::pair<AuditOutcome, v1::AuditOutcome>, 3> kOutcomes = {{
    {AuditOutcome::kAllowed, v1::AUDIT_OUTCOME_ALLOWED},
    {AuditOutcome::kDenied, v1::AUDIT_OUTCOME_DENIED},
    {AuditOutcome::kFailed, v1::AUDIT_OUTCOME_FAILED},
}};

template <typename Table, typename Word>
auto ToProto(const Table& table, Word word) {
  for (const auto& [ours, theirs] : table) {
    if (ours == word) return theirs;
  }
  return table.front().second;
}

template <typename Word, typename Table, typename Value>
absl::StatusOr<std::optional<Word>> FromProto(const Table& table, absl::string_view field,
                                              Value value) {
  if (static_cast<int>(value) == 0) return std::nullopt;
  for (const auto& [ours, theirs] : table) {
    if (theirs == value) return ours;
  }
  return InvalidField(field, "is no value of this field");
}

}  // namespace

v1::AuditLog AuditToProto(const storage::AuditRecord& record) {
  v1::AuditLog log;
  log.set_id(record.id.ToString());
  *log.mutable_time() = events::ToProto(record.time);
  if (record.organization) log.set_organization_id(record.organization->ToString());
  if (record.actor_user) log.set_actor_user_id(record.actor_user->ToString());
  log.set_actor(record.actor);
  log.set_actor_name(record.actor_name);
  log.set_token_id(record.token_id);
  log.set_address(record.address);
  log.set_user_agent(record.user_agent);
  log.set_request_id(record.request_id);
  log.set_method(record.method);
  log.set_action(ToProto(kActions, record.action));
  log.set_resource_type(record.resource_type);
  log.set_resource_id(record.resource_id);
  log.set_resource_name(record.resource_name);
  log.set_outcome(ToProto(kOutcomes, record.outcome));
  log.set_status_code(record.status_code);
  log.set_reason(record.reason);
  log.mutable_details()->insert(record.details.begin(), record.details.end());
  return log;
}

absl::StatusOr<std::optional<AuditAction>> AuditActionFromProto(v1::AuditAction action) {
  return FromProto<AuditAction>(kActions, "action", action);
}

absl::StatusOr<std::optional<AuditOutcome>> AuditOutcomeFromProto(v1::AuditOutcome outcome) {
  return FromProto<AuditOutcome>(kOutcomes, "outcome", outcome);
}

}  // namespace coder::api
