#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/caller.h"
#include "libs/auth/token.h"
#include "libs/clock/clock.h"
#include "libs/clock/deadline.h"
#include "libs/server/secret.h"
#include "libs/storage/credential_store.h"

namespace coder::api {

/// How old what is known of a token may be when a call is admitted with it.
inline constexpr absl::Duration kMaxCallerAge = absl::Seconds(2);

/// Tells who makes a call from the token presented. What it learns of a token it remembers for
/// kMaxCallerAge, so that a revocation, a suspension or a change of roles is felt within that time
/// on every replica. Thread-safe; its calls may wait for the database.
class Authenticator {
 public:
  /// `service_token` is the `cst_` token of this deployment's services; empty: none is accepted.
  /// Store and clock must outlive the authenticator.
  Authenticator(storage::CredentialStore& store, clock::Clock& clock,
                const server::Secret& service_token);

  /// The caller behind an `authorization` value.
  ///   UNAUTHENTICATED    reason TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED or
  ///                      USER_SUSPENDED
  ///   others             as CredentialStore, when the database cannot be asked
  absl::StatusOr<auth::CallerPtr> Authenticate(const std::optional<std::string>& authorization,
                                               clock::Deadline deadline);

  /// Asks anew for callers of open streams, at most two statements for all of them: for each, in
  /// order, who it is now, or UNAUTHENTICATED as above, which ends its stream. A caller of
  /// whom nothing changed comes back as the same pointer; an equal access_version means equal
  /// rights (a session in use only ends later). The whole fails when the database cannot be asked;
  /// the callers then stand as they were.
  absl::StatusOr<std::vector<absl::StatusOr<auth::CallerPtr>>> Refresh(
      const std::vector<auth::CallerPtr>& callers, clock::Deadline deadline);

  /// Forgets what is remembered of a caller's token: its next call asks the database.
  void Forget(const auth::Caller& caller);

 private:
  struct Remembered {
    auth::CallerPtr caller;
    absl::Duration asked_at;  // monotonic
  };

  auth::CallerPtr Recall(const std::string& token_hash);
  void Remember(const auth::CallerPtr& caller, absl::Duration asked_at);
  absl::StatusOr<auth::CallerPtr> AuthenticateApiKey(const auth::PresentedToken& token,
                                                     clock::Deadline deadline);
  absl::StatusOr<auth::CallerPtr> AuthenticateProvisioner(const auth::PresentedToken& token,
                                                          clock::Deadline deadline);
  absl::StatusOr<auth::CallerPtr> AuthenticateService(const auth::PresentedToken& token) const;
  absl::Status CheckUsable(const storage::ApiKeyCredential& key) const;
  void RecordUse(const storage::ApiKeyCredential& key, clock::Deadline deadline);

  storage::CredentialStore& store_;
  clock::Clock& clock_;
  const std::string service_token_hash_;  // empty: none
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Remembered> remembered_;  // guarded by mutex_
};

}  // namespace coder::api
