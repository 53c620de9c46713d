#include "services/coderd-api/call.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/method_policy.h"

namespace coder::api {
namespace {

std::optional<std::string> Authorization(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string(found->second.data(), found->second.size());
}

// "ipv4:10.0.0.1:443" and "ipv6:%5B::1%5D:443" without the port; others as they are.
std::string AddressOf(const std::string& peer) {
  if (peer.rfind("ipv4:", 0) != 0 && peer.rfind("ipv6:", 0) != 0) return peer;
  return peer.substr(0, peer.rfind(':'));
}

bool IsKind(Admission admission, auth::CallerKind kind) {
  switch (admission) {
    case Admission::kAnybody:
      return true;
    case Admission::kUsers:
      return kind == auth::CallerKind::kUser;
    case Admission::kProvisioners:
      return kind == auth::CallerKind::kProvisioner;
    case Admission::kServices:
      return kind == auth::CallerKind::kService;
  }
  return false;
}

absl::string_view KindWords(Admission admission) {
  switch (admission) {
    case Admission::kAnybody:
      return "anybody";
    case Admission::kUsers:
      return "users, with a session or an API token";
    case Admission::kProvisioners:
      return "provisioner daemons, with a provisioner key";
    case Admission::kServices:
      return "the services of this deployment, with its service token";
  }
  return "";
}

absl::Status WrongKind(const MethodRule& rule) {
  return status::WithReason(
      absl::PermissionDeniedError(absl::StrCat("call ", rule.method, ": it is for ",
                                               KindWords(rule.admission), "; use such a token")),
      "WRONG_CALLER_KIND");
}

}  // namespace

void CallGate::AfterEffect(absl::string_view method) const {
  const MethodRule* rule = FindMethodRule(method);
  if (rule != nullptr && rule->effect == Effect::kRights && on_rights_changed_) {
    on_rights_changed_();
  }
}

absl::StatusOr<CallContext> CallGate::Admit(const grpc::ServerContextBase& context,
                                            absl::string_view method) const {
  const MethodRule* rule = FindMethodRule(method);
  if (rule == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat("call ", method, ": no rule admits it"));
  }
  const absl::Duration left = absl::FromChrono(context.deadline()) - clock_.Now();
  CallContext call;
  call.deadline = clock::Deadline::After(std::min(left, max_deadline_));
  call.method = std::string(method);
  call.peer = AddressOf(context.peer());
  if (call.deadline.Expired()) {
    return absl::DeadlineExceededError(
        absl::StrCat("call ", method, ": the deadline passed before it began; allow more time"));
  }
  if (rule->admission == Admission::kAnybody) {
    call.caller = std::make_shared<const auth::Caller>();
    return call;
  }
  ASSIGN_OR_RETURN(call.caller, authenticator_.Authenticate(Authorization(context), call.deadline));
  if (!IsKind(rule->admission, call.caller->kind)) return WrongKind(*rule);
  if (rule->checked_at == CheckedAt::kGate && !auth::IsAllowed(*call.caller, rule->action, {})) {
    return auth::Forbidden(rule->action, "");
  }
  return call;
}

}  // namespace coder::api
