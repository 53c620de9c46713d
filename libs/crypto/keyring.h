#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/server/secret.h"

namespace coder::crypto {

/// The deployment's keys for what is stored encrypted (engine state, sensitive values): the newest
/// seals, all open. Rotation is a new last line in the file on every replica; a key may go once
/// nothing it sealed is left. Immutable and thread-safe.
///
/// Sealed bytes are: a version byte, the length of the key's id, the id, 24 random bytes, then
/// XChaCha20-Poly1305 of the text; all before the text and `purpose` are authenticated with it.
class Keyring {
 public:
  /// Reads the file's text: a key a line, `<id> <32 bytes in base64>`, the newest last; blank lines
  /// and lines from '#' are skipped. Ids are 1 to 32 letters, digits, '-' and '_'.
  /// INVALID_ARGUMENT naming the line, never the key, or when there is no key at all.
  static absl::StatusOr<Keyring> Parse(const server::Secret& text);

  /// A line for the file with a fresh random key.
  static server::Secret NewLine(absl::string_view id);

  /// Encrypts with the newest key. `purpose` says what the bytes are ("engine-state"), so that they
  /// cannot be passed off as something else.
  std::string Seal(absl::string_view text, absl::string_view purpose) const;

  /// The text again.
  ///   FAILED_PRECONDITION  it was sealed with a key that is not in the ring (its id is named)
  ///   DATA_LOSS            the bytes are no sealed text, were changed, or have another purpose
  absl::StatusOr<std::string> Open(absl::string_view sealed, absl::string_view purpose) const;

  /// The id of the key that seals.
  const std::string& newest() const { return newest_; }

 private:
  std::map<std::string, server::Secret, std::less<>> keys_;
  std::string newest_;
};

}  // namespace coder::crypto
