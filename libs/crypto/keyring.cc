#include "libs/crypto/keyring.h"

#include <sodium.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/crypto/sodium.h"

namespace coder::crypto {
namespace {

constexpr size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr size_t kMaxIdLength = 32;
constexpr char kVersion = 1;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool IsKeyId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxIdLength && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  });
}

std::string RandomBytes(size_t count) {
  PrepareSodium();
  std::string bytes(count, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return bytes;
}

absl::Status Unreadable(absl::string_view cause) {
  return absl::DataLossError(absl::StrCat("open sealed bytes: ", cause));
}

}  // namespace

absl::StatusOr<Keyring> Keyring::Parse(const server::Secret& text) {
  PrepareSodium();
  Keyring ring;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text.Reveal(), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    std::string key;
    if (fields.size() != 2 || !IsKeyId(fields[0]) || !absl::Base64Unescape(fields[1], &key) ||
        key.size() != kKeyBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("read keyring: line ", number,
                       " is not '<id> <32 bytes in base64>'; make one with "
                       "'coderd-api new-key'"));
    }
    if (!ring.keys_.try_emplace(fields[0], std::move(key)).second) {
      return absl::InvalidArgumentError(absl::StrCat("read keyring: line ", number,
                                                     ": there is a key '", fields[0],
                                                     "' already; ids are unique"));
    }
    ring.newest_ = fields[0];
  }
  if (ring.keys_.empty()) {
    return absl::InvalidArgumentError(
        "read keyring: it holds no key; make one with 'coderd-api new-key'");
  }
  return ring;
}

server::Secret Keyring::NewLine(absl::string_view id) {
  return server::Secret(absl::StrCat(id, " ", absl::Base64Escape(RandomBytes(kKeyBytes))));
}

std::string Keyring::Seal(absl::string_view text, absl::string_view purpose) const {
  const std::string& key = keys_.find(newest_)->second.Reveal();
  std::string sealed(1, kVersion);
  sealed.push_back(static_cast<char>(newest_.size()));
  absl::StrAppend(&sealed, newest_, RandomBytes(kNonceBytes));
  const std::string context = absl::StrCat(sealed, purpose);
  const size_t header = sealed.size();
  sealed.resize(header + text.size() + kTagBytes);
  unsigned long long written = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      reinterpret_cast<unsigned char*>(sealed.data()) + header, &written, Bytes(text), text.size(),
      Bytes(context), context.size(), nullptr, Bytes(sealed) + header - kNonceBytes, Bytes(key));
  return sealed;
}

absl::StatusOr<std::string> Keyring::Open(absl::string_view sealed,
                                          absl::string_view purpose) const {
  if (sealed.size() < 2 || sealed[0] != kVersion) return Unreadable("they are of no known form");
  const size_t id_length = static_cast<unsigned char>(sealed[1]);
  const size_t header = 2 + id_length + kNonceBytes;
  if (sealed.size() < header + kTagBytes) return Unreadable("they are cut short");
  const absl::string_view id = sealed.substr(2, id_length);
  if (!IsKeyId(id)) return Unreadable("they name no key");
  const auto key = keys_.find(std::string(id));
  if (key == keys_.end()) {
    return absl::FailedPreconditionError(absl::StrCat("open sealed bytes: the keyring has no key '",
                                                      id, "'; put it back into the file"));
  }
  const std::string context = absl::StrCat(sealed.substr(0, header), purpose);
  const absl::string_view body = sealed.substr(header);
  std::string text(body.size() - kTagBytes, '\0');
  unsigned long long written = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          reinterpret_cast<unsigned char*>(text.data()), &written, nullptr, Bytes(body),
          body.size(), Bytes(context), context.size(), Bytes(sealed) + header - kNonceBytes,
          Bytes(key->second.Reveal())) != 0) {
    return Unreadable("they were changed, or sealed for another purpose or with another key");
  }
  return text;
}

}  // namespace coder::crypto
