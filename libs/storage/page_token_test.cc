#include "libs/storage/page_token.h"

#include <catch2/catch.hpp>

#include "libs/status/error_reason.h"
#include "libs/testing/matchers.h"

namespace coder::storage {
namespace {

using ::coder::testing::StatusIs;

TEST_CASE("a token gives back its key to the same filter only") {
  const std::string token = EncodePageToken("owner=a", "2026-01-02|7");
  CHECK(DecodePageToken("owner=a", token).value() == "2026-01-02|7");
  const auto other = DecodePageToken("owner=b", token);
  CHECK_THAT(other, StatusIs(absl::StatusCode::kInvalidArgument, "another filter"));
  CHECK(status::FieldViolationsOf(other.status()).at(0).field == "page_token");
}

TEST_CASE("no token means the first page") { CHECK(DecodePageToken("f", "").value().empty()); }

TEST_CASE("texts that are no tokens are refused") {
  const std::string token = EncodePageToken("f", "k");
  for (const std::string& bad : {std::string("x"), std::string("%%%"), token.substr(0, 10),
                                 std::string("2") + token.substr(1), token + "?"}) {
    CAPTURE(bad);
    CHECK_THAT(DecodePageToken("f", bad), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_CASE("page sizes are clamped") {
  CHECK(ClampPageSize(0) == 50);
  CHECK(ClampPageSize(-3) == 1);
  CHECK(ClampPageSize(1) == 1);
  CHECK(ClampPageSize(500) == 500);
  CHECK(ClampPageSize(501) == 500);
}

}  // namespace
}  // namespace coder::storage
