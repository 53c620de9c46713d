#include "cli/coderctl/scrub.h"

#include <catch2/catch.hpp>

#include "libs/auth/token.h"

namespace coder::cli {
namespace {

TEST_CASE("every form of a secret is taken out and its surroundings stay") {
  const std::string key(43, 'k');
  struct Row {
    const char* name;
    std::string text;
    std::string left;
  };
  const Row rows[] = {
      {"known", "it is hunter2!", "it is ***!"},
      {"provisioner key", "got cpk_" + key + ", ok", "got ***, ok"},
      {"service token", "cst_" + key, "***"},
      {"no key but nearly", "cpk_short and abc", "cpk_short and abc"},
      {"bearer", "sent Bearer abc.def/=x then", "sent Bearer *** then"},
      {"header", "authorization: Bearer abcdef", "authorization: Bearer ***"},
      {"url", "at postgres://coder:pa:ss@db:5432/coder?x",
       "at postgres://coder:***@db:5432/coder?x"},
      {"two urls", "nats://a:b@c nats://d:e@f", "nats://a:***@c nats://d:***@f"},
      {"url without password", "http://host:1/x y@z", "http://host:1/x y@z"},
      {"assignment", "DB_PASSWORD=hunter3 next", "DB_PASSWORD=*** next"},
      {"conninfo", "host=db password='a b' port=1", "host=db password='***' port=1"},
      {"json", R"({"api_token": "a\"b", "n": 1})", R"({"api_token": "***", "n": 1})"},
      {"json in json", R"("{\"secret\":\"abc\"}")", R"("{\"secret\":***}")"},
      {"yaml", "clientSecret: abc\nname: x", "clientSecret: ***\nname: x"},
      {"named but not given", "the token is too old", "the token is too old"},
      {"metric", "tokens_total{a=\"b\"} 5", "tokens_total{a=\"b\"} 5"},
      {"pem", "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb",
       "a\n***\nb"},
      {"cut pem", "x -----BEGIN PRIVATE KEY-----\nMII", "x ***"},
      {"certificate", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
       "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"},
      {"uuid", "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8057"},
      {"nothing", "", ""},
      {"ends with a name", "password=", "password="},
      {"an at sign alone", "x://@", "x://@"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) { CHECK(Scrubbed(row.text, {"hunter2", ""}) == row.left); }
  }
}

TEST_CASE("tokens as they are made are told by their form") {
  for (int i = 0; i < 50; ++i) {
    CHECK(Scrubbed("<" + auth::GenerateApiKey().text + ">", {}) == "<***>");
    CHECK(Scrubbed("<" + auth::GenerateProvisionerKey().text + ">", {}) == "<***>");
    CHECK(Scrubbed("<" + auth::GenerateServiceToken() + ">", {}) == "<***>");
  }
}

}  // namespace
}  // namespace coder::cli
