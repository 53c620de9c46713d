#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/auth/policy.h"
#include "libs/storage/audit_log_store.h"

namespace coder::api {

/// Which kind of caller may make a call at all.
enum class Admission : uint8_t { kAnybody, kUsers, kProvisioners, kServices };

/// Where the action is checked: at the gate for calls about no particular object, else by the
/// handler once the object is loaded (CallContext::Authorize, or ScopeOf for lists).
enum class CheckedAt : uint8_t { kGate, kObject };

/// What a call that succeeded means for others.
enum class Effect : uint8_t {
  kNone,
  /// Somebody may have fewer rights, or other ones, than before.
  kRights,
};

/// What the audit log tells of a call.
struct AuditRule {
  enum class Kind : uint8_t {
    kUnclassified,
    kRead,
    /// Changes only what keeps a job or a workspace going: heartbeats, logs, activity.
    kUpkeep,
    /// Each call leaves a record.
    kWrite,
  };
  Kind kind = Kind::kUnclassified;

  // Of a write.
  storage::AuditAction action = storage::AuditAction::kWrite;
  /// The noun of what is written.
  absl::string_view resource = "";
  /// The fields of the request that say which one, as in "workspace.id"; empty: none does.
  absl::string_view id_field = "";
  absl::string_view name_field = "";
};

/// What a call of one RPC needs.
struct MethodRule {
  /// As on the wire: "/coder.api.v1.AuthService/Login".
  absl::string_view method;
  Admission admission = Admission::kUsers;
  auth::Action action = auth::Action::kCount;
  CheckedAt checked_at = CheckedAt::kGate;
  AuditRule audit;
  Effect effect = Effect::kNone;
  /// The only service that may call it, as its certificate names it, where client certificates are
  /// demanded; empty: whoever has one.
  absl::string_view service = "";
};

/// The rule of an RPC, or null: such a call is refused.
const MethodRule* FindMethodRule(absl::string_view method);

/// Every rule, in the order of the table.
std::vector<const MethodRule*> AllMethodRules();

}  // namespace coder::api
