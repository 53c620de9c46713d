#include "libs/server/log.h"

#include <catch2/catch.hpp>
#include <sstream>
#include <thread>
#include <vector>

namespace coder::log {
namespace {

TEST_CASE("a line has the fixed keys first and escapes what it carries") {
  const absl::Time time = absl::UnixEpoch() + absl::Microseconds(1500000);
  const std::vector<Field> fields = {
      {"workspace_id", "w\"1"}, {"count", 3}, {"ok", true}, {"took", absl::Milliseconds(250)}};
  CHECK(
      FormatLine(Format::kJson, "demo", time, Level::kWarn, "a\nb", fields.data(), fields.size()) ==
      R"({"ts":"1970-01-01T00:00:01.500000Z","level":"warn","msg":"a\nb","service":"demo",)"
      R"("workspace_id":"w\"1","count":3,"ok":true,"took":0.25})");
  CHECK(FormatLine(Format::kText, "demo", time, Level::kInfo, "a\x1b[1mb", fields.data(), 2) ==
        "1970-01-01T00:00:01.500000Z info  a?[1mb  workspace_id=\"w\\\"1\"  count=3");
}

TEST_CASE("a secret is never formatted") {
  std::vector<std::string> lines;
  ScopedCapture capture([&](const std::string& line) { lines.push_back(line); });
  const server::Secret secret("hunter2");
  Info("connecting", {{"password", secret}});
  std::ostringstream out;
  out << secret;
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("hunter2") == std::string::npos);
  CHECK(lines[0].find("\"password\":\"***\"") != std::string::npos);
  CHECK(out.str() == "***");
}

TEST_CASE("the payloads of a status stay out of the log") {
  std::vector<std::string> lines;
  ScopedCapture capture([&](const std::string& line) { lines.push_back(line); });
  absl::Status status = absl::NotFoundError("no workspace w1");
  status.SetPayload("p", absl::Cord("hidden"));
  Error("failed", {{"error", status}});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("NOT_FOUND: no workspace w1") != std::string::npos);
  CHECK(lines[0].find("hidden") == std::string::npos);
}

TEST_CASE("the level changes at run time and lines of many threads stay whole") {
  std::vector<std::string> lines;
  ScopedCapture capture([&](const std::string& line) { lines.push_back(line); });
  SetLevel(Level::kError);
  Info("unseen");
  SetLevel(Level::kDebug);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 50; ++n) Debug("seen", {{"n", n}});
    });
  }
  for (auto& thread : threads) thread.join();
  SetLevel(Level::kInfo);
  REQUIRE(lines.size() == 200);
  for (const auto& line : lines) CHECK((line.front() == '{' && line.back() == '}'));
}

TEST_CASE("levels and formats are parsed or refused with the choices") {
  CHECK(*ParseLevel("warn") == Level::kWarn);
  CHECK(ParseLevel("loud").status().message() ==
        "log level \"loud\" is unknown; use debug, info, warn or error");
  CHECK(*ParseFormat("json") == Format::kJson);
  CHECK_FALSE(ParseFormat("xml").ok());
}

}  // namespace
}  // namespace coder::log
