#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/auth/policy.h"
#include "libs/clock/clock.h"
#include "libs/clock/deadline.h"
#include "libs/server/grpc_server.h"
#include "libs/server/grpc_status.h"
#include "libs/storage/audit_log_store.h"
#include "services/coderd-api/audit_trail.h"
#include "services/coderd-api/authenticator.h"

namespace coder::api {

/// One admitted call. A value; borrows nothing. What handlers tell of a call that is not recorded
/// is forgotten.
struct CallContext {
  /// Never null; kAnonymous for calls anybody may make.
  auth::CallerPtr caller;
  /// When the client stops waiting, or CallGate's limit if that is sooner.
  clock::Deadline deadline = clock::Deadline::Never();
  /// As on the wire: "/coder.api.v1.AuthService/Login".
  std::string method;
  /// The client's address without its port.
  std::string peer;

  /// What the audit log will tell of the call; null where it is not recorded.
  std::shared_ptr<storage::AuditRecord> audit;

  /// As auth::Authorize for this caller, once the object is loaded. Recorded: a refusal, and the
  /// object's organization.
  absl::Status Authorize(auth::Action action, const auth::ObjectRef& object,
                         absl::string_view object_words) const;

  /// Names for the record what the call is about, once that is known. Objects of another type than
  /// the one the method writes are left out.
  void Concerns(absl::string_view type, absl::string_view id, absl::string_view name) const;

  /// Says for the record more precisely what the call means to do.
  void Means(storage::AuditAction action) const;

  /// Adds a detail to the record. Never a secret or a value of a parameter.
  void Note(absl::string_view key, absl::string_view value) const;

  /// Names for the record who an anonymous caller turned out to be.
  void MadeBy(const lifecycle::UserId& user, absl::string_view username,
              absl::string_view token_id) const;
};

/// What every call passes before its handler: the method's row in the policy table, the token, and
/// the actions that concern no object; and after it: the audit log. Thread-safe.
class CallGate {
 public:
  /// Calls without a deadline, or a later one, get `max_deadline`. Authenticator and clock must
  /// outlive the gate.
  CallGate(Authenticator& authenticator, clock::Clock& clock,
           absl::Duration max_deadline = absl::Seconds(30))
      : authenticator_(authenticator), clock_(clock), max_deadline_(max_deadline) {}

  /// Admits a call that is no write, of the sync or the callback API. It may wait for the database
  /// once in kMaxCallerAge for a token.
  ///   PERMISSION_DENIED  the method has no rule, is not for this kind of caller (reason
  ///                      WRONG_CALLER_KIND) or for this client certificate
  ///                      (SERVICE_IDENTITY_FORBIDDEN), or its action is not allowed
  ///                      (ACTION_FORBIDDEN)
  ///   DEADLINE_EXCEEDED  the deadline has passed already
  ///   INTERNAL           the method is a write: only Handle records those
  ///   others             as Authenticator::Authenticate
  absl::StatusOr<CallContext> Admit(const grpc::ServerContextBase& context,
                                    absl::string_view method) const;

  /// Admits a call and runs `body(const CallContext&)`, which returns absl::Status; requests over
  /// `max_bytes` are refused first. A write is recorded, however it ends, before its answer is
  /// sent. The only translation to gRPC.
  template <typename Body>
  grpc::Status Handle(const grpc::ServerContextBase* context, absl::string_view method,
                      const google::protobuf::Message& request, Body body,
                      size_t max_bytes = server::kMaxMessageBytes) const {
    static_assert(std::is_same_v<std::invoke_result_t<Body, const CallContext&>, absl::Status>);
    CallContext call = Begin(*context, method, request);
    absl::Status done = server::CheckMessageSize(request, max_bytes);
    if (done.ok()) done = Admit(*context, call);
    if (done.ok()) done = body(std::as_const(call));
    Finish(*context, call, done);
    return server::ToGrpcStatus(done);
  }

  /// Has `told` called after every call that succeeded and changed somebody's rights; it must
  /// return at once. Called before anything starts.
  void OnRightsChanged(std::function<void()> told) { on_rights_changed_ = std::move(told); }

  /// Has writes recorded; `trail` must outlive the gate. Called before anything starts.
  void RecordWrites(AuditTrail& trail) { trail_ = &trail; }

  Authenticator& authenticator() const { return authenticator_; }

 private:
  CallContext Begin(const grpc::ServerContextBase& context, absl::string_view method,
                    const google::protobuf::Message& request) const;
  // Fills in the caller, even of a call that is then refused.
  absl::Status Admit(const grpc::ServerContextBase& context, CallContext& call) const;
  void Finish(const grpc::ServerContextBase& context, const CallContext& call,
              const absl::Status& done) const;
  void AfterEffect(absl::string_view method) const;

  Authenticator& authenticator_;
  clock::Clock& clock_;
  const absl::Duration max_deadline_;
  std::function<void()> on_rights_changed_;
  AuditTrail* trail_ = nullptr;
};

/// Runs a unary handler behind the gate: `return HandleCall(gate_, context, kMethod, *request,
/// [&](const CallContext& call) -> absl::Status { ... });`.
template <typename Body>
grpc::Status HandleCall(const CallGate& gate, const grpc::ServerContextBase* context,
                        absl::string_view method, const google::protobuf::Message& request,
                        Body body, size_t max_bytes = server::kMaxMessageBytes) {
  return gate.Handle(context, method, request, std::move(body), max_bytes);
}

}  // namespace coder::api
