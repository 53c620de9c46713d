#include "services/provisionerd/echo_engine.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "libs/clock/fake_clock.h"

namespace coder::provisionerd {
namespace {

class Template {
 public:
  explicit Template(const std::string& echo_json) {
    std::string pattern = "/tmp/echo.XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
    std::ofstream(path + "/echo.json") << echo_json;
    context.log = [this](const EngineLogLine& line) { log += line.text + "\n"; };
    context.interrupt = interrupt.get_token();
    context.kill = kill.get_token();
  }
  ~Template() { std::filesystem::remove_all(path); }

  BuildResult Build(Transition transition, const std::string& build_id = "b") {
    BuildRequest request{.template_dir = path, .transition = transition};
    request.metadata.workspace_build_id = build_id;
    auto result = EchoEngine(clock).Build(request, context);
    REQUIRE(result.ok());
    return *std::move(result);
  }

  std::string path, log;
  EngineContext context;
  std::stop_source interrupt, kill;
  clock::FakeClock clock;
};

TEST_CASE("echo answers an import from its file") {
  Template echo(R"({
    "readme": "hello", "workspace_tags": {"cluster": "dev"},
    "parameters": [{"name": "size", "type": "number", "required": true, "mutable": true,
                    "options": [{"name": "Small", "value": "1"}],
                    "validation": {"min": 0, "monotonic": "increasing"}}],
    "variables": [{"name": "region", "default": "eu"}],
    "resources": [{"name": "disk", "type": "echo_persistent"},
                  {"name": "box", "agents": [{"name": "main", "apps": [{"slug": "web"}]}]}]})");
  auto imported = EchoEngine(echo.clock).Import({.template_dir = echo.path}, echo.context);
  REQUIRE(imported.ok());
  CHECK(imported->readme == "hello");
  CHECK(imported->workspace_tags.at("cluster") == "dev");
  REQUIRE(imported->parameters.size() == 1);
  CHECK(imported->parameters[0].required);
  CHECK(imported->parameters[0].validation_min == 0);
  CHECK_FALSE(imported->parameters[0].validation_max.has_value());
  CHECK(imported->variables.at(0).default_value == "eu");
  REQUIRE(imported->start_resources.size() == 2);
  CHECK(imported->start_resources[1].agents.at(0).apps.at(0).slug == "web");
  REQUIRE(imported->stop_resources.size() == 1);
  CHECK(imported->stop_resources[0].name == "disk");
}

TEST_CASE("echo plays each transition") {
  Template echo(R"({"start": {"log": ["one", "two"], "state": "S"},
                    "stop": {"error": "no such machine"},
                    "resources": [{"name": "box"}]})");
  BuildResult started = echo.Build(Transition::kStart);
  CHECK(started.outcome.ok());
  CHECK(started.state == "S");
  CHECK(started.resources.size() == 1);
  CHECK(echo.log == "one\ntwo\n");
  BuildResult stopped = echo.Build(Transition::kStop);
  CHECK(stopped.outcome == absl::FailedPreconditionError("apply: no such machine"));
  CHECK(stopped.state.has_value());
  CHECK(stopped.resources.empty());
  CHECK(echo.Build(Transition::kDelete).resources.empty());
}

TEST_CASE("echo fails the given share of builds, the same ones every time") {
  Template echo(R"({"start": {"error": "boom", "fail_percent": 30}})");
  int failed = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "build-" + std::to_string(i);
    const bool first = echo.Build(Transition::kStart, id).outcome.ok();
    CHECK(first == echo.Build(Transition::kStart, id).outcome.ok());
    failed += first ? 0 : 1;
  }
  CHECK(failed > 200);
  CHECK(failed < 400);
}

TEST_CASE("echo waits by the given clock and can be canceled meanwhile") {
  Template echo(R"({"start": {"delay_ms": 60000}})");
  SECTION("waits") {
    std::jthread mover([&] {
      echo.clock.AwaitWaiters(1);
      echo.clock.Advance(absl::Minutes(1));
    });
    BuildResult result = echo.Build(Transition::kStart);
    CHECK(result.outcome.ok());
    CHECK(result.timings.at(0).end == absl::Minutes(1));
  }
  SECTION("is interrupted") {
    std::jthread stopper([&] {
      echo.clock.AwaitWaiters(1);
      echo.interrupt.request_stop();
    });
    BuildResult result = echo.Build(Transition::kStart);
    CHECK(absl::IsCancelled(result.outcome));
    CHECK(result.state.has_value());
  }
  SECTION("is killed") {
    echo.kill.request_stop();
    CHECK(absl::IsCancelled(echo.Build(Transition::kStart).outcome));
  }
}

TEST_CASE("echo says what is wrong with its file") {
  Template echo("[1]");
  CHECK(absl::IsInvalidArgument(
      EchoEngine(echo.clock).Build({.template_dir = echo.path}, echo.context).status()));
}

}  // namespace
}  // namespace coder::provisionerd
