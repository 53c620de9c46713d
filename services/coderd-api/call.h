#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
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
#include "services/coderd-api/authenticator.h"

namespace coder::api {

/// One admitted call. A value; borrows nothing.
struct CallContext {
  /// Never null; kAnonymous for calls anybody may make.
  auth::CallerPtr caller;
  /// When the client stops waiting, or CallGate's limit if that is sooner.
  clock::Deadline deadline = clock::Deadline::Never();
  /// As on the wire: "/coder.api.v1.AuthService/Login".
  std::string method;
  /// The client's address without its port.
  std::string peer;

  /// As auth::Authorize for this caller, once the object is loaded.
  absl::Status Authorize(auth::Action action, const auth::ObjectRef& object,
                         absl::string_view object_words) const {
    return auth::Authorize(*caller, action, object, object_words);
  }
};

/// What every call passes before its handler: the method's row in the policy table, the token, and
/// the actions that concern no object. Thread-safe.
class CallGate {
 public:
  /// Calls without a deadline, or a later one, get `max_deadline`. Authenticator and clock must
  /// outlive the gate.
  CallGate(Authenticator& authenticator, clock::Clock& clock,
           absl::Duration max_deadline = absl::Seconds(30))
      : authenticator_(authenticator), clock_(clock), max_deadline_(max_deadline) {}

  /// Admits a call, of the sync or the callback API. It may wait for the database once in
  /// kMaxCallerAge for a token.
  ///   PERMISSION_DENIED  the method has no rule, is not for this kind of caller (reason
  ///                      WRONG_CALLER_KIND), or its action is not allowed (ACTION_FORBIDDEN)
  ///   DEADLINE_EXCEEDED  the deadline has passed already
  ///   others             as Authenticator::Authenticate
  absl::StatusOr<CallContext> Admit(const grpc::ServerContextBase& context,
                                    absl::string_view method) const;

  /// Admits a unary call and runs `body(const CallContext&)`, which returns absl::Status; requests
  /// over the size limit are refused first. The only translation to gRPC.
  template <typename Body>
  grpc::Status Handle(const grpc::ServerContextBase* context, absl::string_view method,
                      const google::protobuf::MessageLite& request, Body body) const {
    static_assert(std::is_same_v<std::invoke_result_t<Body, const CallContext&>, absl::Status>);
    if (absl::Status size = server::CheckMessageSize(request); !size.ok()) {
      return server::ToGrpcStatus(size);
    }
    const absl::StatusOr<CallContext> call = Admit(*context, method);
    if (!call.ok()) return server::ToGrpcStatus(call.status());
    const absl::Status done = body(*call);
    if (done.ok()) AfterEffect(method);
    return server::ToGrpcStatus(done);
  }

  /// Has `told` called after every call that succeeded and changed somebody's rights; it must
  /// return at once. Called before anything starts.
  void OnRightsChanged(std::function<void()> told) { on_rights_changed_ = std::move(told); }

  Authenticator& authenticator() const { return authenticator_; }

 private:
  void AfterEffect(absl::string_view method) const;

  Authenticator& authenticator_;
  clock::Clock& clock_;
  const absl::Duration max_deadline_;
  std::function<void()> on_rights_changed_;
};

/// Runs a unary handler behind the gate: `return HandleCall(gate_, context, kMethod, *request,
/// [&](const CallContext& call) -> absl::Status { ... });`.
template <typename Body>
grpc::Status HandleCall(const CallGate& gate, const grpc::ServerContextBase* context,
                        absl::string_view method, const google::protobuf::MessageLite& request,
                        Body body) {
  return gate.Handle(context, method, request, std::move(body));
}

}  // namespace coder::api
