#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "services/provisionerd/log_text.h"
#include "services/provisionerd/terraform_env.h"
#include "services/provisionerd/terraform_graph.h"
#include "services/provisionerd/terraform_log.h"
#include "services/provisionerd/terraform_resources.h"

namespace coder::provisionerd {
namespace {

TEST_CASE("an engine's environment is exactly what its request says") {
  ::setenv("CODER_CANARY", "leaked", 1);
  BuildMetadata metadata;
  metadata.workspace_name = "dev";
  metadata.owner_name = "ada";
  metadata.owner_groups = {"a\"b"};
  const std::vector<NamedValue> parameters = {{"size", "4"}}, variables = {{"region", "eu"}};
  CHECK(TerraformEnvironment({.path = "/bin", .home = "/h", .tmp = "/t", .data_dir = "/d"},
                             {.transition = Transition::kStop,
                              .metadata = &metadata,
                              .parameters = &parameters,
                              .previous_parameters = &parameters,
                              .variables = &variables}) ==
        std::vector<std::string>{
            "PATH=/bin", "HOME=/h", "TMPDIR=/t", "LANG=C.UTF-8", "TF_DATA_DIR=/d",
            "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
            "CODER_WORKSPACE_TRANSITION=stop", "CODER_WORKSPACE_NAME=dev",
            "CODER_WORKSPACE_OWNER=ada", "CODER_WORKSPACE_OWNER_GROUPS=[\"a\\\"b\"]",
            "CODER_WORKSPACE_OWNER_RBAC_ROLES=[]",
            "CODER_PARAMETER_ccdcbe846f3da4eb044fbdf64bf6b57902388ab72fb0c852ba72280f8d478b40=4",
            "CODER_PARAMETER_PREVIOUS_"
            "ccdcbe846f3da4eb044fbdf64bf6b57902388ab72fb0c852ba72280f8d478b40=4",
            "TF_VAR_region=eu"});
}

TEST_CASE("the graph finds uses through locals and modules, not through destroys") {
  const TerraformGraph graph = TerraformGraph::Parse(R"dot(digraph {
    "[root] local.init (expand)" -> "[root] coder_agent.main (expand)"
    "[root] module.vm.var.token (expand, reference)" -> "[root] local.init (expand)"
    "[root] module.vm.box.a (expand)" -> "[root] module.vm.var.token (expand, reference)"
    "[root] coder_agent.main (destroy)" -> "[root] other.b[\"x\"] (destroy)"
    "[root] provider[\"p\"]" -> "[root] coder_agent.main (expand)"
    "[root] far.c (expand)" -> "[root] provider[\"p\"]"
  })dot");
  const auto users = graph.UsersOf("coder_agent.main");
  CHECK(users.at("module.vm.box.a") == 3);
  CHECK_FALSE(users.contains("far.c"));
  CHECK(graph.UsedBy("coder_agent.main").empty());
  CHECK(ConfigurationAddress("module.a[\"x.]\\\"y\"].t.n[0]") == "module.a.t.n");
}

TEST_CASE("engine output becomes lines and an error sentence") {
  std::string text;
  absl::Duration now;
  TerraformLog log(
      "apply", [&text](LogLevel, const std::string& line) { text += line + "\n"; },
      [&now] { return now; });
  SECTION("JSON") {
    log.Line(R"({"@level":"info","@message":"a.b: Creating...","type":"apply_start",)"
             R"("hook":{"resource":{"addr":"a.b","implied_provider":"p"},"action":"create"}})");
    now = absl::Seconds(2);
    log.Line(R"({"@level":"error","@message":"a.b: Failed","type":"apply_errored",)"
             R"("hook":{"resource":{"addr":"a.b"},"action":"create"}})");
    log.Line(R"({"@level":"error","@message":"Error: x","type":"diagnostic","diagnostic":)"
             R"({"severity":"error","summary":"Bad","detail":"Very\nbad",)"
             R"("range":{"filename":"m.tf","start":{"line":7}}}})");
    CHECK(log.FirstError() == "m.tf:7: Bad: Very bad");
    CHECK(text == "a.b: Creating...\na.b: Failed\nError: Bad\n  on m.tf:7\nVery\nbad\n");
    const std::vector<StageTiming> timings = log.TakeTimings();
    REQUIRE(timings.size() == 1);
    CHECK(timings[0].end - timings[0].start == absl::Seconds(2));
    CHECK(timings[0].source == "p");
    CHECK(timings[0].state == StageTiming::State::kFailed);
  }
  SECTION("plain") {
    for (const char* line : {"Error: Invalid expression", "",
                             "  on main.tf line 2, in x:", "   2:   input =", "Expected more."}) {
      log.Line(line);
    }
    CHECK(log.FirstError() == "main.tf:2: Invalid expression: Expected more.");
  }
}

TEST_CASE("log lines are clean, short and without secrets") {
  std::vector<std::string> lines;
  ForEachLogLine(std::string(1500, 'x') + "\n\n\x1b[1ma\tb\xFF\n",
                 [&lines](std::string line) { lines.push_back(std::move(line)); });
  CHECK(lines ==
        std::vector<std::string>{std::string(1024, 'x'), std::string(476, 'x'), "[1ma b?"});
  CHECK(Redact("token=s3cr3t-x! s3cr3t-x!", {"s3cr3t-x!", "to"}) ==
        "token=(sensitive value) (sensitive value)");
}

TerraformInstance Instance(const std::string& type, const std::string& name,
                           nlohmann::json values) {
  return {.address = type + "." + name,
          .configuration_address = type + "." + name,
          .type = type,
          .name = name,
          .values = std::move(values)};
}

TEST_CASE("parts of a workspace find each other by id, or say why not") {
  const TerraformGraph graph = TerraformGraph::Parse("");
  const TerraformInstance agent = Instance("coder_agent", "main", {{"id", "A"}});
  SECTION("an agent that nothing uses is listed by itself") {
    auto resources = ResourcesOf(
        {agent, Instance("coder_app", "w", {{"agent_id", "A"}, {"slug", "web"}})}, graph);
    REQUIRE(resources.ok());
    REQUIRE(resources->size() == 1);
    CHECK(resources->at(0).type == "coder_agent");
    CHECK(resources->at(0).agents.at(0).apps.at(0).slug == "web");
  }
  SECTION("an app of no agent") {
    CHECK(absl::IsInvalidArgument(
        ResourcesOf({agent, Instance("coder_app", "w", {{"agent_id", "B"}, {"slug", "web"}})},
                    graph)
            .status()));
  }
  SECTION("slugs") {
    for (const char* slug : {"Web", "web_1", "-web", "web-", "a--b", ""}) {
      CHECK(absl::IsInvalidArgument(
          ResourcesOf({agent, Instance("coder_app", "w", {{"agent_id", "A"}, {"slug", slug}})},
                      graph)
              .status()));
    }
  }
  SECTION("one slug twice") {
    const nlohmann::json values = {{"agent_id", "A"}, {"slug", "web"}};
    CHECK(absl::IsInvalidArgument(
        ResourcesOf({agent, Instance("coder_app", "a", values), Instance("coder_app", "b", values)},
                    graph)
            .status()));
  }
  SECTION("agent names") {
    CHECK(absl::IsInvalidArgument(
        ResourcesOf({agent, Instance("coder_agent", "Main", {})}, graph).status()));
    CHECK(absl::IsInvalidArgument(
        ResourcesOf({Instance("coder_agent", "my_box", {})}, graph).status()));
  }
}

}  // namespace
}  // namespace coder::provisionerd
