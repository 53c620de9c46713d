#include "services/coderd-api/authenticator.h"

#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "libs/server/log.h"
#include "libs/status/error_reason.h"
#include "libs/status/status_macros.h"

namespace coder::api {
namespace {

using auth::Caller;
using auth::CallerKind;
using auth::CallerPtr;
using storage::ApiKeyCredential;
using storage::ProvisionerKeyCredential;

constexpr size_t kMaxRemembered = 20'000;
constexpr absl::Duration kUseResolution = absl::Minutes(1);

absl::Status Refused(absl::string_view reason, absl::string_view sentence) {
  return status::WithReason(absl::UnauthenticatedError(sentence), reason);
}

absl::Status UnknownToken() {
  return Refused("TOKEN_INVALID", "authenticate: the token is not known; log in again");
}

absl::Status Revoked() {
  return Refused("TOKEN_REVOKED", "authenticate: the token was revoked; log in again");
}

absl::Status Expired() {
  return Refused("TOKEN_EXPIRED", "authenticate: the token has expired; log in again");
}

Caller CallerOf(const ApiKeyCredential& key, const std::string& token_hash) {
  Caller caller;
  caller.kind = CallerKind::kUser;
  caller.user_id = key.user_id;
  caller.username = key.username;
  caller.site_roles = key.site_roles;
  caller.memberships = key.memberships;
  caller.access_version = key.access_version;
  caller.api_key_id = key.id;
  caller.expires_at = key.expires_at;
  caller.token_hash = token_hash;
  return caller;
}

Caller CallerOf(const ProvisionerKeyCredential& key, const std::string& token_hash) {
  Caller caller;
  caller.kind = CallerKind::kProvisioner;
  caller.provisioner_key_id = key.id;
  caller.provisioner_key_name = key.name;
  caller.organization_id = key.organization_id;
  caller.tags = key.tags;
  caller.token_hash = token_hash;
  return caller;
}

std::string HashOrNone(const server::Secret& token) {
  return token.empty() ? std::string() : auth::Sha256(token.Reveal());
}

}  // namespace

Authenticator::Authenticator(storage::CredentialStore& store, clock::Clock& clock,
                             const server::Secret& service_token)
    : store_(store), clock_(clock), service_token_hash_(HashOrNone(service_token)) {}

absl::StatusOr<CallerPtr> Authenticator::Authenticate(
    const std::optional<std::string>& authorization, clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const auth::PresentedToken token, auth::ParseAuthorization(authorization));
  if (token.kind == auth::TokenKind::kServiceToken) return AuthenticateService(token);
  // A session in use may have been extended since: at its remembered end the database is asked.
  const CallerPtr remembered = Recall(token.token_hash);
  if (remembered != nullptr && remembered->expires_at > clock_.Now()) return remembered;
  // Taken before the database is asked: what it answers may be as old as the question.
  const absl::Duration asked_at = clock_.MonotonicNow();
  ASSIGN_OR_RETURN(const CallerPtr caller, token.kind == auth::TokenKind::kApiKey
                                               ? AuthenticateApiKey(token, deadline)
                                               : AuthenticateProvisioner(token, deadline));
  Remember(caller, asked_at);
  return caller;
}

absl::StatusOr<CallerPtr> Authenticator::AuthenticateApiKey(const auth::PresentedToken& token,
                                                            clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<ApiKeyCredential> keys,
                   store_.FindApiKeys({token.id}, deadline));
  // Only who holds the secret learns that a token was revoked or has expired.
  if (keys.empty() || !auth::ConstantTimeEquals(keys[0].hashed_secret, token.secret_hash)) {
    return UnknownToken();
  }
  RETURN_IF_ERROR(CheckUsable(keys[0]));
  RecordUse(keys[0], deadline);
  return std::make_shared<const Caller>(CallerOf(keys[0], token.token_hash));
}

absl::StatusOr<CallerPtr> Authenticator::AuthenticateProvisioner(const auth::PresentedToken& token,
                                                                 clock::Deadline deadline) {
  ASSIGN_OR_RETURN(const std::vector<ProvisionerKeyCredential> keys,
                   store_.FindProvisionerKeys({token.secret_hash}, deadline));
  if (keys.empty()) return UnknownToken();
  if (keys[0].revoked_at) return Revoked();
  return std::make_shared<const Caller>(CallerOf(keys[0], token.token_hash));
}

absl::StatusOr<CallerPtr> Authenticator::AuthenticateService(
    const auth::PresentedToken& token) const {
  if (service_token_hash_.empty() ||
      !auth::ConstantTimeEquals(service_token_hash_, token.secret_hash)) {
    return UnknownToken();
  }
  Caller caller;
  caller.kind = CallerKind::kService;
  caller.token_hash = token.token_hash;
  return std::make_shared<const Caller>(std::move(caller));
}

absl::Status Authenticator::CheckUsable(const ApiKeyCredential& key) const {
  if (key.revoked_at || key.user_deleted) return Revoked();
  if (key.expires_at <= clock_.Now()) return Expired();
  if (key.user_status == lifecycle::UserStatus::kSuspended) {
    return Refused("USER_SUSPENDED",
                   "authenticate: the account is suspended; ask an administrator");
  }
  return absl::OkStatus();
}

void Authenticator::RecordUse(const ApiKeyCredential& key, clock::Deadline deadline) {
  if (key.last_used_at && clock_.Now() - *key.last_used_at < kUseResolution) return;
  // The call may go on without it; the next one tries again.
  if (absl::Status recorded = store_.RecordUse(key.id, deadline); !recorded.ok()) {
    log::Warn("cannot record the use of a token", {{"api_key", key.id}, {"error", recorded}});
  }
}

absl::StatusOr<std::vector<absl::StatusOr<CallerPtr>>> Authenticator::Refresh(
    const std::vector<CallerPtr>& callers, clock::Deadline deadline) {
  std::vector<std::string> key_ids;
  std::vector<std::string> secrets;
  for (const CallerPtr& caller : callers) {
    if (caller->kind == CallerKind::kUser) key_ids.push_back(caller->api_key_id);
    if (caller->kind == CallerKind::kProvisioner) secrets.push_back(caller->token_hash);
  }
  const absl::Duration asked_at = clock_.MonotonicNow();
  absl::flat_hash_map<std::string, ApiKeyCredential> api_keys;
  if (!key_ids.empty()) {
    ASSIGN_OR_RETURN(std::vector<ApiKeyCredential> found, store_.FindApiKeys(key_ids, deadline));
    for (ApiKeyCredential& key : found) api_keys.try_emplace(key.id, key);
  }
  absl::flat_hash_map<std::string, ProvisionerKeyCredential> provisioner_keys;
  if (!secrets.empty()) {
    ASSIGN_OR_RETURN(std::vector<ProvisionerKeyCredential> found,
                     store_.FindProvisionerKeys(secrets, deadline));
    for (ProvisionerKeyCredential& key : found)
      provisioner_keys.try_emplace(key.hashed_secret, key);
  }

  const auto now_of = [&](const CallerPtr& caller) -> absl::StatusOr<CallerPtr> {
    if (caller->kind == CallerKind::kProvisioner) {
      const auto key = provisioner_keys.find(caller->token_hash);
      if (key == provisioner_keys.end() || key->second.revoked_at) return Revoked();
      return caller;
    }
    if (caller->kind != CallerKind::kUser) return caller;
    const auto key = api_keys.find(caller->api_key_id);
    if (key == api_keys.end()) return Revoked();
    RETURN_IF_ERROR(CheckUsable(key->second));
    if (key->second.access_version == caller->access_version &&
        key->second.expires_at == caller->expires_at) {
      return caller;
    }
    return std::make_shared<const Caller>(CallerOf(key->second, caller->token_hash));
  };
  std::vector<absl::StatusOr<CallerPtr>> refreshed;
  refreshed.reserve(callers.size());
  for (const CallerPtr& caller : callers) {
    refreshed.push_back(now_of(caller));
    if (refreshed.back().ok()) {
      Remember(*refreshed.back(), asked_at);
    } else {
      Forget(*caller);
    }
  }
  return refreshed;
}

void Authenticator::Forget(const Caller& caller) {
  std::lock_guard lock(mutex_);
  remembered_.erase(caller.token_hash);
}

CallerPtr Authenticator::Recall(const std::string& token_hash) {
  std::lock_guard lock(mutex_);
  const auto found = remembered_.find(token_hash);
  if (found == remembered_.end()) return nullptr;
  if (clock_.MonotonicNow() - found->second.asked_at >= kMaxCallerAge) {
    remembered_.erase(found);
    return nullptr;
  }
  return found->second.caller;
}

void Authenticator::Remember(const CallerPtr& caller, absl::Duration asked_at) {
  if (caller->token_hash.empty()) return;
  std::lock_guard lock(mutex_);
  if (remembered_.size() >= kMaxRemembered) {
    absl::erase_if(remembered_, [&](const auto& entry) {
      return asked_at - entry.second.asked_at >= kMaxCallerAge;
    });
    if (remembered_.size() >= kMaxRemembered) remembered_.clear();
  }
  Remembered& entry = remembered_[caller->token_hash];
  // A slower, earlier question must not undo what a later one found out.
  if (entry.caller != nullptr && entry.asked_at > asked_at) return;
  entry = {caller, asked_at};
}

}  // namespace coder::api
