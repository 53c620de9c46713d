#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/auth/policy.h"

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

/// What a call of one RPC needs.
struct MethodRule {
  /// As on the wire: "/coder.api.v1.AuthService/Login".
  absl::string_view method;
  Admission admission = Admission::kUsers;
  auth::Action action = auth::Action::kCount;
  CheckedAt checked_at = CheckedAt::kGate;
  Effect effect = Effect::kNone;
};

/// The rule of an RPC, or null: such a call is refused.
const MethodRule* FindMethodRule(absl::string_view method);

/// Every rule, in the order of the table.
std::vector<const MethodRule*> AllMethodRules();

}  // namespace coder::api
