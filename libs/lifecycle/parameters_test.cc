#include "libs/lifecycle/parameters.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "libs/lifecycle/parameter_value.h"
#include "libs/status/error_reason.h"

namespace coder::lifecycle {
namespace {

using Definitions = std::vector<ParameterDefinition>;
using Values = std::vector<NameValue>;

Values Resolved(const Definitions& definitions, const Values& previous, const Values& given) {
  const auto values = ResolveParameters(definitions, previous, given);
  INFO(values.status().ToString());
  REQUIRE(values.ok());
  return *values;
}

void CheckRefused(const Definitions& definitions, const Values& previous, const Values& given,
                  const std::string& field, const std::string& says) {
  const absl::Status status = ResolveParameters(definitions, previous, given).status();
  INFO(status.ToString());
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  const auto violations = status::FieldViolationsOf(status);
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].field == "parameters[" + field + "]");
  CHECK(absl::StrContains(violations[0].description, says));
}

TEST_CASE("a value is what is given, else what was, else the default") {
  const Definitions definitions = {{.name = "size", .default_value = "small"},
                                   {.name = "region", .default_value = "eu"},
                                   {.name = "zone", .default_value = "a"}};
  CHECK((Resolved(definitions, {}, {}) ==
         Values{{"size", "small"}, {"region", "eu"}, {"zone", "a"}}));
  CHECK(
      (Resolved(definitions, {{"size", "large"}, {"region", "us"}, {"gone", "x"}},
                {{"region", "ap"}}) == Values{{"size", "large"}, {"region", "ap"}, {"zone", "a"}}));
  // An empty value is a value.
  CHECK((Resolved(definitions, {}, {{"size", ""}})[0] == NameValue{"size", ""}));
}

TEST_CASE("an ephemeral value holds for one build") {
  const Definitions definitions = {{.name = "seed", .ephemeral = true, .default_value = "none"}};
  CHECK(Resolved(definitions, {}, {{"seed", "1"}})[0].value == "1");
  CHECK(Resolved(definitions, {{"seed", "1"}}, {})[0].value == "none");
  CHECK(Resolved(definitions, {{"seed", "1"}}, {{"seed", "2"}})[0].value == "2");
  const Definitions required = {{.name = "seed", .ephemeral = true, .required = true}};
  CheckRefused(required, {{"seed", "1"}}, {}, "seed", "is required");
}

TEST_CASE("a required value has to come from somewhere") {
  const Definitions definitions = {{.name = "repo", .required = true}};
  CheckRefused(definitions, {}, {}, "repo", "is required and has no value; give one");
  CHECK(Resolved(definitions, {{"repo", "x"}}, {})[0].value == "x");
}

TEST_CASE("unknown and repeated names are refused") {
  CheckRefused({{.name = "a"}}, {}, {{"b", "1"}}, "b", "is not known to the template version");
  CheckRefused({{.name = "a"}}, {}, {{"a", "1"}, {"a", "1"}, {"a", "1"}}, "a", "more than once");
}

TEST_CASE("an immutable value stays what it was set to") {
  const Definitions definitions = {{.name = "disk", .is_mutable = false, .default_value = "10"}};
  CHECK(Resolved(definitions, {}, {{"disk", "20"}})[0].value == "20");
  CHECK(Resolved(definitions, {{"disk", "20"}}, {})[0].value == "20");
  CHECK(Resolved(definitions, {{"disk", "20"}}, {{"disk", "20"}})[0].value == "20");
  CheckRefused(definitions, {{"disk", "20"}}, {{"disk", "30"}}, "disk",
               "keep \"20\" or create another workspace");
  // New in this version: nothing to keep.
  CHECK(Resolved(definitions, {{"other", "1"}}, {{"disk", "30"}})[0].value == "30");
}

TEST_CASE("a value has its type") {
  struct Row {
    ParameterType type;
    std::vector<std::string> good;
    std::vector<std::string> bad;
  };
  const Row rows[] = {
      {ParameterType::kString, {"", "any thing"}, {}},
      {ParameterType::kNumber,
       {"0", "-1", "1.5", "2e3", "9007199254740993"},
       {"", "x", "0x10", "inf", "nan", "1e999", "1,5", " 1", "1 "}},
      {ParameterType::kBool, {"true", "false"}, {"", "True", "1", "yes"}},
      {ParameterType::kListOfStrings,
       {"[]", R"(["a"])", R"( [ "a" , "b\n\u00e4\ud83d\ude80" ] )"},
       {"", "a", "[a]", "[1]", R"(["a",])", R"(["a")", R"(["a"] x)", R"(["\x"])", R"(["\ud83d"])",
        R"(["\ude80"])", R"(["\u12g4"])", "[\"\n\"]", "[[\"a\"]]", R"({"a":1})", "[\"a", "[\"a\\"}},
  };
  for (const Row& row : rows) {
    for (const std::string& value : row.good) {
      CAPTURE(value);
      CHECK(Resolved({{.name = "p", .type = row.type}}, {}, {{"p", value}})[0].value == value);
    }
    for (const std::string& value : row.bad) {
      CAPTURE(value);
      CheckRefused({{.name = "p", .type = row.type}}, {}, {{"p", value}}, "p", "; ");
    }
  }
  CHECK(*ReadListOfStrings(R"(["b\n\u00e4\ud83d\ude80\/"])") == std::vector<std::string>{"b\nä🚀/"});
}

TEST_CASE("options are the only values") {
  const Definitions one = {{.name = "p", .options = {"s", "m"}, .validation_regex = "[sm]"}};
  CHECK(Resolved(one, {}, {{"p", "m"}})[0].value == "m");
  CheckRefused(one, {}, {{"p", "l"}}, "p", "use one of: s, m");
  // A previous value the new version no longer offers.
  CheckRefused(one, {{"p", "l"}}, {}, "p", "use one of: s, m");
  const Definitions many = {
      {.name = "p", .type = ParameterType::kListOfStrings, .options = {"s", "m"}}};
  CHECK(Resolved(many, {}, {{"p", R"(["m","s"])"}}).size() == 1);
  CheckRefused(many, {}, {{"p", R"(["m","l"])"}}, "p", "use one of: s, m");
}

TEST_CASE("rules of text and numbers") {
  const Definitions text = {{.name = "p", .validation_regex = "^[a-z]+$"}};
  CHECK(Resolved(text, {}, {{"p", "abc"}}).size() == 1);
  CheckRefused(text, {}, {{"p", "ABC"}}, "p", "matches ^[a-z]+$");
  Definitions own = text;
  own[0].validation_error = "lower case, please";
  CheckRefused(own, {}, {{"p", "ABC"}}, "p", "lower case, please");
  CheckRefused({{.name = "p", .validation_regex = "("}}, {}, {{"p", "x"}}, "p",
               "ask a template administrator");

  Definitions number = {{.name = "p",
                         .type = ParameterType::kNumber,
                         .default_value = "4",
                         .validation_min = 2,
                         .validation_max = 8}};
  for (const char* value : {"2", "8", "2.5"}) {
    CHECK(Resolved(number, {}, {{"p", value}}).size() == 1);
  }
  CheckRefused(number, {}, {{"p", "1.9"}}, "p", "use at least 2");
  CheckRefused(number, {}, {{"p", "9"}}, "p", "use at most 8");
  number[0].validation_error = "{value} is not within {min} and {max}";
  CheckRefused(number, {}, {{"p", "9"}}, "p", "9 is not within 2 and 8");
}

TEST_CASE("a monotonic number moves one way or stays") {
  Definitions up = {
      {.name = "p", .type = ParameterType::kNumber, .monotonic = Monotonic::kIncreasing}};
  up[0].default_value = "1";
  CHECK(Resolved(up, {{"p", "5"}}, {{"p", "5"}}).size() == 1);
  CHECK(Resolved(up, {{"p", "5"}}, {{"p", "6"}}).size() == 1);
  CHECK(Resolved(up, {}, {{"p", "0"}}).size() == 1);
  CheckRefused(up, {{"p", "5"}}, {{"p", "4"}}, "p", "may only increase; use at least 5");
  up[0].monotonic = Monotonic::kDecreasing;
  CHECK(Resolved(up, {{"p", "5"}}, {{"p", "4"}}).size() == 1);
  CheckRefused(up, {{"p", "5"}}, {{"p", "6"}}, "p", "may only decrease; use at most 5");
}

TEST_CASE("all faults are told at once, and long values are refused") {
  const absl::Status status =
      ResolveParameters({{.name = "a", .required = true}, {.name = "b"}}, {},
                        {{"b", std::string(kMaxParameterValueBytes + 1, 'x')}, {"c", "1"}})
          .status();
  CHECK(status::FieldViolationsOf(status).size() == 3);
  CHECK(status.message().size() < 1000);
  const std::string longest(kMaxParameterValueBytes, 'x');
  CHECK(Resolved({{.name = "b"}}, {}, {{"b", longest}})[0].value == longest);
}

TEST_CASE("types and directions have their words") {
  CHECK(*ParseParameterType("list(string)") == ParameterType::kListOfStrings);
  CHECK(*ParseParameterType("string") == ParameterType::kString);
  CHECK(*ParseParameterType("number") == ParameterType::kNumber);
  CHECK(*ParseParameterType("bool") == ParameterType::kBool);
  CHECK_FALSE(ParseParameterType("int").ok());
  CHECK(*ParseMonotonic("") == Monotonic::kNone);
  CHECK(*ParseMonotonic("increasing") == Monotonic::kIncreasing);
  CHECK(*ParseMonotonic("decreasing") == Monotonic::kDecreasing);
  CHECK_FALSE(ParseMonotonic("up").ok());
}

}  // namespace
}  // namespace coder::lifecycle
