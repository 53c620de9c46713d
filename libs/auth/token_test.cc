#include "libs/auth/token.h"

#include <catch2/catch.hpp>

#include "absl/strings/escaping.h"
#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::auth {
namespace {

using ::coder::testing::IsOk;
using ::coder::testing::StatusIs;

std::string ReasonFor(const std::string& text) {
  const auto token = ParseToken(text);
  return token.ok() ? "accepted" : status::ReasonOf(token.status())->reason;
}

TEST_CASE("SHA-256 is SHA-256") {
  CHECK(absl::BytesToHexString(Sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("a new API key is read back with the hash that was stored") {
  const NewApiKey key = GenerateApiKey();
  CHECK(key.text.size() == 33);
  const auto token = ParseAuthorization("Bearer " + key.text);
  REQUIRE_THAT(token, IsOk());
  CHECK(token->kind == TokenKind::kApiKey);
  CHECK(token->id == key.id);
  CHECK(token->secret_hash == key.secret_hash);
  CHECK(GenerateApiKey().text != key.text);
}

TEST_CASE("provisioner keys and service tokens are told by their prefix") {
  const NewProvisionerKey key = GenerateProvisionerKey();
  CHECK(key.text.size() == 47);
  const auto token = ParseToken(key.text);
  REQUIRE_THAT(token, IsOk());
  CHECK(token->kind == TokenKind::kProvisionerKey);
  CHECK(token->secret_hash == key.secret_hash);
  const auto service = ParseToken(GenerateServiceToken());
  REQUIRE_THAT(service, IsOk());
  CHECK(service->kind == TokenKind::kServiceToken);
}

TEST_CASE("a bit flipped in the secret is another hash") {
  NewApiKey key = GenerateApiKey();
  key.text.back() = key.text.back() == 'A' ? 'B' : 'A';
  const auto token = ParseToken(key.text);
  REQUIRE_THAT(token, IsOk());
  CHECK_FALSE(ConstantTimeEquals(token->secret_hash, key.secret_hash));
}

TEST_CASE("texts that are no tokens are refused without being repeated") {
  const std::string text = GenerateApiKey().text;
  for (const std::string& bad :
       {std::string(), text.substr(0, 32), text + "A", text.substr(1), "cpk_" + text,
        std::string("cst_short"), text.substr(0, 10) + "_" + text.substr(11),
        text.substr(0, 32) + "\n", std::string(33, '-'), std::string(100000, 'A')}) {
    CHECK(ReasonFor(bad) == "TOKEN_INVALID");
    if (bad.size() > 8) {
      CHECK(ParseToken(bad).status().ToString().find(bad) == std::string::npos);
    }
  }
}

TEST_CASE("a missing token is not a bad one") {
  for (const std::optional<std::string>& value :
       {std::optional<std::string>(), {"Basic abc"}, {"Bearer"}, {""}}) {
    const auto token = ParseAuthorization(value);
    CHECK_THAT(token, StatusIs(absl::StatusCode::kUnauthenticated));
    CHECK(status::ReasonOf(token.status())->reason == "TOKEN_MISSING");
  }
  CHECK_THAT(ParseAuthorization("bearer " + GenerateApiKey().text), IsOk());
}

TEST_CASE("equality in constant time is equality") {
  CHECK(ConstantTimeEquals("", ""));
  CHECK(ConstantTimeEquals("abc", "abc"));
  CHECK_FALSE(ConstantTimeEquals("abc", "abd"));
  CHECK_FALSE(ConstantTimeEquals("abc", "ab"));
}

}  // namespace
}  // namespace coder::auth
