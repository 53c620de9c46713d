#include "libs/lifecycle/names.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

using Rule = absl::Status (*)(absl::string_view, absl::string_view);

void CheckTable(Rule rule, const std::vector<std::string>& good,
                const std::vector<std::string>& bad) {
  for (const std::string& value : good) {
    const absl::Status status = rule("name", value);
    INFO(value << ": " << status.ToString());
    CHECK(status.ok());
  }
  for (const std::string& value : bad) {
    const absl::Status status = rule("name", value);
    INFO(value << ": " << status.ToString());
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    const auto violations = status::FieldViolationsOf(status);
    REQUIRE(violations.size() == 1);
    CHECK(violations[0].field == "name");
    CHECK(absl::StrContains(violations[0].description, "; "));
  }
}

TEST_CASE("names") {
  CheckTable(CheckName, {"a", "A1", "dev-box", "a-b-c", "news", "create-1", std::string(32, 'x')},
             {"", "-a", "a-", "a--b", "a_b", "a.b", "a b", "ä", "new", "create", "New", "CREATE",
              std::string(33, 'x'), std::string("a\0b", 3), "a\n"});
  CHECK(std::string(CheckName("workspace.name", "a--b").message()) ==
        "check workspace.name: \"a--b\" has a character or a hyphen where none may be; use 1 to 32 "
        "letters and digits, with single hyphens between them");
}

TEST_CASE("template version names") {
  CheckTable(CheckVersionName, {"v1.2.3", "a_b-c.d", "new", std::string(64, 'x')},
             {"", ".a", "a.", "a..b", "a_-b", "a b", std::string(65, 'x')});
}

TEST_CASE("display names") {
  CheckTable(CheckDisplayName, {"", "My Box", "Büro 東京 🚀", std::string(64, 'x')},
             {" a", "a ", "a\nb", "a\tb", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
              "\xc2\x85", "\xe2\x82", std::string(65, 'x')});
}

TEST_CASE("email addresses") {
  CheckTable(
      CheckEmail, {"a@b", "ann.o'neil+x@mail.example.com", "x@localhost"},
      {"", "a", "@b", "a@", "a@@b", "a b@c", "a@b c", ".a@b", "a..b@c", "a@-b", "a@b-", "a@b..c",
       "a@b.", "a@b\n", std::string(65, 'x') + "@b", "a@" + std::string(64, 'x'), "Ann <a@b.c>"});
}

TEST_CASE("passwords, which no message repeats") {
  CheckTable(CheckPassword, {"correct horse", "12345678", std::string(63, 'x') + "y"},
             {"", "1234567", std::string(64, 'x') + "y", "aaaaaaaa"});
  CHECK_FALSE(absl::StrContains(CheckPassword("password", "s3cret!").message(), "s3cret"));
}

TEST_CASE("a message shows a hostile value shortened and escaped") {
  const absl::Status status = CheckName("name", "\x1b[2J" + std::string(5000, 'x'));
  CHECK(status.message().size() < 300);
  CHECK_FALSE(absl::StrContains(status.message(), "\x1b"));
}

}  // namespace
}  // namespace coder::lifecycle
