#include "libs/crypto/keyring.h"

#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "libs/testing/matchers.h"

namespace coder::crypto {
namespace {

using ::coder::testing::StatusIs;
using server::Secret;

const std::string& Line(const std::string& id) {
  static std::map<std::string, std::string> lines;
  std::string& line = lines[id];
  if (line.empty()) line = Keyring::NewLine(id).Reveal();
  return line;
}

Keyring Ring(const std::string& text) { return Keyring::Parse(Secret(text)).value(); }

TEST_CASE("sealed text opens again and shows nothing of itself") {
  const Keyring ring = Ring(Line("k1"));
  const std::string text = "a secret that is long enough to be seen";
  const std::string sealed = ring.Seal(text, "engine-state");
  CHECK(sealed.find("secret") == std::string::npos);
  CHECK(ring.Seal(text, "engine-state") != sealed);
  CHECK(ring.Open(sealed, "engine-state").value() == text);
  CHECK(ring.Open(ring.Seal("", "p"), "p").value().empty());
}

TEST_CASE("any changed, added or missing byte is noticed") {
  const Keyring ring = Ring(Line("k1"));
  const std::string sealed = ring.Seal("text", "p");
  for (size_t i = 0; i < sealed.size(); ++i) {
    INFO("byte " << i);
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(ring.Open(changed, "p").ok());
    CHECK_THAT(ring.Open(sealed.substr(0, i), "p"), StatusIs(absl::StatusCode::kDataLoss));
  }
  CHECK_THAT(ring.Open(sealed + "x", "p"), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_CASE("bytes sealed for one purpose do not open for another") {
  const Keyring ring = Ring(Line("k1"));
  CHECK_THAT(ring.Open(ring.Seal("text", "engine-state"), "variable"),
             StatusIs(absl::StatusCode::kDataLoss, "another purpose"));
}

TEST_CASE("after a rotation the newest key seals and the old one still opens") {
  const std::string old = Ring(Line("k1")).Seal("text", "p");
  const Keyring both = Ring("# keys\n" + Line("k1") + "\n\n  " + Line("k2") + "\n");
  CHECK(both.newest() == "k2");
  CHECK(both.Open(old, "p").value() == "text");
  CHECK_THAT(Ring(Line("k1")).Open(both.Seal("text", "p"), "p"),
             StatusIs(absl::StatusCode::kFailedPrecondition, "no key 'k2'"));
}

TEST_CASE("a key file that is wrong is refused by line without showing a key") {
  const std::string good = Line("k1");
  for (const std::string& bad : {std::string(), std::string("# nothing\n"), std::string("k1"),
                                 std::string("k1 c2hvcnQ="), absl::StrCat("k/1 ", good.substr(3)),
                                 absl::StrCat(good, " more"), absl::StrCat(good, "\n", good)}) {
    const auto ring = Keyring::Parse(Secret(bad));
    CHECK_THAT(ring, StatusIs(absl::StatusCode::kInvalidArgument, "read keyring"));
    CHECK(ring.status().ToString().find(good.substr(3)) == std::string::npos);
  }
}

}  // namespace
}  // namespace coder::crypto
