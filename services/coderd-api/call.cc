#include "services/coderd-api/call.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/server/call_interceptor.h"
#include "libs/server/peer_identity.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"
#include "services/coderd-api/method_policy.h"

namespace coder::api {
namespace {

std::optional<std::string> Metadata(const grpc::ServerContextBase& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string(found->second.data(), found->second.size());
}

// Where client certificates are demanded, each connection has one.
absl::Status CheckService(const MethodRule& rule, const std::optional<server::PeerNames>& names) {
  if (!names || rule.service.empty()) return absl::OkStatus();
  if (std::find(names->begin(), names->end(), rule.service) != names->end()) {
    return absl::OkStatus();
  }
  return status::WithReason(
      absl::PermissionDeniedError(absl::StrCat(
          "call ", rule.method, ": the client certificate is '", absl::StrJoin(*names, "', '"),
          "', and it is for '", rule.service, "'; present that service's certificate")),
      "SERVICE_IDENTITY_FORBIDDEN");
}

// The text of a field such as "workspace.id"; empty for no field.
std::string TextAt(const google::protobuf::Message& request, absl::string_view path) {
  const google::protobuf::Message* message = &request;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const auto* field = message->GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) break;
    if (dot == path.size()) return message->GetReflection()->GetString(*message, field);
    message = &message->GetReflection()->GetMessage(*message, field);
    path.remove_prefix(dot + 1);
  }
  return "";
}

void TellCaller(const auth::Caller& caller, storage::AuditRecord& record) {
  record.actor = caller.Identity();
  switch (caller.kind) {
    case auth::CallerKind::kUser:
      record.actor_user = caller.user_id;
      record.actor_name = caller.username;
      record.token_id = caller.api_key_id;
      break;
    case auth::CallerKind::kProvisioner:
      record.actor_name = caller.provisioner_key_name;
      record.token_id = caller.provisioner_key_id.ToString();
      if (!record.organization) record.organization = caller.organization_id;
      break;
    case auth::CallerKind::kService:
    case auth::CallerKind::kAnonymous:
      break;
  }
}

void TellOutcome(const absl::Status& done, storage::AuditRecord& record) {
  using storage::AuditOutcome;
  record.status_code = absl::StatusCodeToString(done.code());
  if (const auto reason = status::ReasonOf(done)) record.reason = reason->reason;
  if (done.ok()) {
    record.outcome = AuditOutcome::kAllowed;
  } else if (absl::IsPermissionDenied(done) || absl::IsUnauthenticated(done)) {
    record.outcome = AuditOutcome::kDenied;
  } else if (record.outcome != AuditOutcome::kDenied) {
    record.outcome = AuditOutcome::kFailed;
  }
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

absl::Status CallContext::Authorize(auth::Action action, const auth::ObjectRef& object,
                                    absl::string_view object_words) const {
  absl::Status allowed = auth::Authorize(*caller, action, object, object_words);
  if (audit == nullptr) return allowed;
  if (!object.organization_id.IsNil()) audit->organization = object.organization_id;
  if (!allowed.ok()) audit->outcome = storage::AuditOutcome::kDenied;
  return allowed;
}

void CallContext::Concerns(absl::string_view type, absl::string_view id,
                           absl::string_view name) const {
  if (audit == nullptr || audit->resource_type != type) return;
  audit->resource_id = std::string(id);
  audit->resource_name = std::string(name);
}

void CallContext::Means(storage::AuditAction action) const {
  if (audit != nullptr) audit->action = action;
}

void CallContext::Note(absl::string_view key, absl::string_view value) const {
  if (audit != nullptr) audit->details[std::string(key)] = std::string(value);
}

void CallContext::MadeBy(const lifecycle::UserId& user, absl::string_view username,
                         absl::string_view token_id) const {
  if (audit == nullptr) return;
  audit->actor = absl::StrCat("user:", user.ToString());
  audit->actor_user = user;
  audit->actor_name = std::string(username);
  audit->token_id = std::string(token_id);
}

CallContext CallGate::Begin(const grpc::ServerContextBase& context, absl::string_view method,
                            const google::protobuf::Message& request) const {
  CallContext call;
  call.method = std::string(method);
  call.peer = AddressOf(context.peer());
  const MethodRule* rule = FindMethodRule(method);
  if (trail_ == nullptr || rule == nullptr || rule->audit.kind != AuditRule::Kind::kWrite) {
    return call;
  }
  call.audit = std::make_shared<storage::AuditRecord>();
  call.audit->action = rule->audit.action;
  call.audit->resource_type = std::string(rule->audit.resource);
  call.audit->resource_id = TextAt(request, rule->audit.id_field);
  call.audit->resource_name = TextAt(request, rule->audit.name_field);
  return call;
}

void CallGate::Finish(const grpc::ServerContextBase& context, const CallContext& call,
                      const absl::Status& done) const {
  if (done.ok()) AfterEffect(call.method);
  if (call.audit == nullptr) return;
  storage::AuditRecord& record = *call.audit;
  if (call.caller != nullptr && call.caller->kind != auth::CallerKind::kAnonymous) {
    TellCaller(*call.caller, record);
  }
  TellOutcome(done, record);
  record.method = call.method;
  record.address = call.peer;
  record.user_agent = Metadata(context, "user-agent").value_or("");
  record.request_id = server::RequestId(context);
  trail_->Keep(std::move(record));
}

void CallGate::AfterEffect(absl::string_view method) const {
  const MethodRule* rule = FindMethodRule(method);
  if (rule != nullptr && rule->effect == Effect::kRights && on_rights_changed_) {
    on_rights_changed_();
  }
}

absl::StatusOr<CallContext> CallGate::Admit(const grpc::ServerContextBase& context,
                                            absl::string_view method) const {
  const MethodRule* rule = FindMethodRule(method);
  if (rule != nullptr && rule->audit.kind == AuditRule::Kind::kWrite) {
    return absl::InternalError(
        absl::StrCat("call ", method, ": a write is admitted where it is recorded, by Handle"));
  }
  CallContext call;
  call.method = std::string(method);
  call.peer = AddressOf(context.peer());
  RETURN_IF_ERROR(Admit(context, call));
  return call;
}

absl::Status CallGate::Admit(const grpc::ServerContextBase& context, CallContext& call) const {
  const MethodRule* rule = FindMethodRule(call.method);
  if (rule == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat("call ", call.method, ": no rule admits it"));
  }
  const absl::Duration left = absl::FromChrono(context.deadline()) - clock_.Now();
  call.deadline = clock::Deadline::After(std::min(left, max_deadline_));
  if (call.deadline.Expired()) {
    return absl::DeadlineExceededError(absl::StrCat(
        "call ", call.method, ": the deadline passed before it began; allow more time"));
  }
  const auto names = server::NamesOfPeer(*context.auth_context());
  if (names) call.Note("certificate", absl::StrJoin(*names, ","));
  RETURN_IF_ERROR(CheckService(*rule, names));
  if (rule->admission == Admission::kAnybody) {
    call.caller = std::make_shared<const auth::Caller>();
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(call.caller,
                   authenticator_.Authenticate(Metadata(context, "authorization"), call.deadline));
  if (!IsKind(rule->admission, call.caller->kind)) return WrongKind(*rule);
  if (rule->checked_at == CheckedAt::kGate && !auth::IsAllowed(*call.caller, rule->action, {})) {
    return auth::Forbidden(rule->action, "");
  }
  return absl::OkStatus();
}

}  // namespace coder::api
