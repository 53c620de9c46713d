#include "libs/auth/token.h"

#include <sodium.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/crypto/sodium.h"
#include "libs/status/error_reason.h"

namespace coder::auth {
namespace {

constexpr absl::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr absl::string_view kProvisionerPrefix = "cpk_";
constexpr absl::string_view kServicePrefix = "cst_";
constexpr size_t kIdLength = 10;
constexpr size_t kSecretLength = 22;
constexpr size_t kLongSecretLength = 43;

std::string RandomText(size_t length) {
  crypto::PrepareSodium();
  std::string text(length, '\0');
  for (char& c : text) c = kAlphabet[randombytes_uniform(kAlphabet.size())];
  return text;
}

bool IsAlphanumeric(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isalnum);
}

absl::Status Malformed() {
  return status::WithReason(
      absl::UnauthenticatedError("authenticate: the token is malformed; copy it whole, or log in"),
      "TOKEN_INVALID");
}

}  // namespace

std::string Sha256(absl::string_view bytes) {
  std::string hash(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(reinterpret_cast<unsigned char*>(hash.data()),
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  return hash;
}

bool ConstantTimeEquals(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

NewApiKey GenerateApiKey() {
  const std::string id = RandomText(kIdLength);
  const std::string secret = RandomText(kSecretLength);
  return {.id = id, .secret_hash = Sha256(secret), .text = absl::StrCat(id, "-", secret)};
}

NewProvisionerKey GenerateProvisionerKey() {
  const std::string text = absl::StrCat(kProvisionerPrefix, RandomText(kLongSecretLength));
  return {.secret_hash = Sha256(text), .text = text};
}

std::string GenerateServiceToken() {
  return absl::StrCat(kServicePrefix, RandomText(kLongSecretLength));
}

absl::StatusOr<PresentedToken> ParseToken(absl::string_view text) {
  PresentedToken token;
  token.token_hash = Sha256(text);
  absl::string_view rest = text;
  const bool provisioner = absl::ConsumePrefix(&rest, kProvisionerPrefix);
  if (provisioner || absl::ConsumePrefix(&rest, kServicePrefix)) {
    if (rest.size() != kLongSecretLength || !IsAlphanumeric(rest)) return Malformed();
    token.kind = provisioner ? TokenKind::kProvisionerKey : TokenKind::kServiceToken;
    token.secret_hash = token.token_hash;
    return token;
  }
  if (text.size() != kIdLength + 1 + kSecretLength || text[kIdLength] != '-') return Malformed();
  const absl::string_view id = text.substr(0, kIdLength);
  const absl::string_view secret = text.substr(kIdLength + 1);
  if (!IsAlphanumeric(id) || !IsAlphanumeric(secret)) return Malformed();
  token.id = std::string(id);
  token.secret_hash = Sha256(secret);
  return token;
}

absl::StatusOr<PresentedToken> ParseAuthorization(const std::optional<std::string>& value) {
  constexpr absl::string_view kScheme = "bearer ";
  if (!value || !absl::StartsWithIgnoreCase(*value, kScheme)) {
    return status::WithReason(
        absl::UnauthenticatedError("authenticate: no token was sent; log in, or send "
                                   "'authorization: Bearer <token>'"),
        "TOKEN_MISSING");
  }
  return ParseToken(absl::StripAsciiWhitespace(absl::string_view(*value).substr(kScheme.size())));
}

}  // namespace coder::auth
