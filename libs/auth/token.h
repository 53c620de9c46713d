#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coder::auth {

/// What kind of token a text is, told by its prefix.
enum class TokenKind { kApiKey, kProvisionerKey, kServiceToken };

/// A token as a client presents it, taken apart. Only its form was checked.
struct PresentedToken {
  TokenKind kind = TokenKind::kApiKey;
  /// Of an API key, 10 characters; otherwise empty.
  std::string id;
  /// SHA-256 of the secret: of the 22 characters after the id of an API key, of the whole text of
  /// the others. 32 bytes.
  std::string secret_hash;
  /// SHA-256 of the whole text, 32 bytes: the token's name in memory.
  std::string token_hash;
};

/// A new session or API token: `<id>-<secret>`, the id 10 and the secret 22 letters and digits
/// (130 random bits). Only `id` and `secret_hash` are stored.
struct NewApiKey {
  std::string id;
  std::string secret_hash;
  std::string text;
};

/// A new provisioner key: `cpk_` and 43 letters and digits. Only `secret_hash` is stored.
struct NewProvisionerKey {
  std::string secret_hash;
  std::string text;
};

/// SHA-256 of `bytes`, 32 bytes.
std::string Sha256(absl::string_view bytes);

/// Whether two texts are equal, in a time that depends on their lengths only.
bool ConstantTimeEquals(absl::string_view a, absl::string_view b);

/// Draws a new key from the system's random source. Any thread.
NewApiKey GenerateApiKey();
NewProvisionerKey GenerateProvisionerKey();

/// A new service token: `cst_` and 43 letters and digits.
std::string GenerateServiceToken();

/// The token of an `authorization` value, `Bearer <token>` with the scheme in any case.
/// UNAUTHENTICATED with reason TOKEN_MISSING when the value is absent or another scheme's, and
/// TOKEN_INVALID for a text that is no token of ours. The text is never repeated.
absl::StatusOr<PresentedToken> ParseAuthorization(const std::optional<std::string>& value);

/// The same for the bare token text.
absl::StatusOr<PresentedToken> ParseToken(absl::string_view text);

}  // namespace coder::auth
