#include <dirent.h>
#include <prometheus/registry.h>
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/clock/system_clock.h"
#include "libs/status/error_reason.h"
#include "services/provisionerd/terraform_engine.h"
#include "services/provisionerd/workspace_template.h"

namespace coder::provisionerd {
namespace {

std::string Required(const char* name) {
  const char* value = std::getenv(name);
  INFO(name << " is not set; run these tests with ./dev test");
  REQUIRE(value != nullptr);
  return value;
}

// One job: directories, an engine, and what it logged.
class Job {
 public:
  explicit Job(const std::string& main_tf) {
    std::string pattern = "/tmp/job.XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    for (const char* dir : {"/template", "/work"}) {
      REQUIRE(::mkdir((root_ + dir).c_str(), 0700) == 0);
    }
    Write("main.tf", main_tf);
    config.engine_path = Required("CODER_TEST_ENGINE");
    config.cli_config_path = Required("CODER_TEST_ENGINE_CONFIG");
    context.work_dir = root_ + "/work";
    context.log = [this](const EngineLogLine& line) {
      lines.push_back(line);
      absl::StrAppend(&text, line.text, "\n");
      if (on_line) on_line(line);
    };
    context.interrupt = interrupt.get_token();
    context.kill = kill.get_token();
    metadata.coder_url = "https://coder.example";
    metadata.workspace_name = "dev";
    metadata.workspace_id = "5c3fe2b4-7a54-4a66-8e2f-d7a2b7cb2f3c";
    metadata.workspace_build_id = "0a2bd2a2-3c8a-44a2-a6a4-9d9f6f2a8f10";
    metadata.owner_name = "ada";
    metadata.owner_id = "9f6f2a8f-3c8a-44a2-a6a4-0a2bd2a29d10";
    metadata.owner_email = "ada@example.com";
    metadata.template_id = "7b0c2a53-58c4-4a3e-9d0f-2f1d3f0c9a11";
    metadata.template_name = "box";
    metadata.template_version = "v1";
    metadata.owner_groups = {"staff"};
  }
  ~Job() { std::filesystem::remove_all(root_); }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(root_ + "/template/" + name) << content;
  }
  absl::StatusOr<ImportResult> Import() {
    return Engine()->Import({.template_dir = root_ + "/template",
                             .metadata = {.template_version_id = metadata.template_version_id}},
                            context);
  }
  BuildResult Build(Transition transition, const std::string& state = "",
                    std::vector<NamedValue> parameters = {},
                    std::vector<NamedValue> variables = {}) {
    auto result = Engine()->Build({.template_dir = root_ + "/template",
                                   .transition = transition,
                                   .metadata = metadata,
                                   .parameters = std::move(parameters),
                                   .variables = std::move(variables),
                                   .previous_state = state},
                                  context);
    REQUIRE(result.ok());
    return *std::move(result);
  }
  std::string file(const std::string& name) const { return root_ + "/" + name; }

  TerraformConfig config;
  InitCache* init_cache = nullptr;
  EngineContext context;
  BuildMetadata metadata;
  std::stop_source interrupt, kill;
  std::function<void(const EngineLogLine&)> on_line;
  std::vector<EngineLogLine> lines;
  std::string text;

 private:
  std::unique_ptr<TerraformEngine> Engine() {
    auto engine = TerraformEngine::Create(config, clock_, init_cache);
    INFO(engine.status());
    REQUIRE(engine.ok());
    return *std::move(engine);
  }
  std::string root_;
  clock::SystemClock clock_;
};

const Resource* Find(const std::vector<Resource>& resources, const std::string& name) {
  for (const Resource& resource : resources) {
    if (resource.name == name) return &resource;
  }
  return nullptr;
}

TEST_CASE("an import learns everything a template offers") {
  Job job(kTemplate);
  job.Write("README.md", "# About\n");
  auto imported = job.Import();
  INFO(imported.status() << "\n" << job.text);
  REQUIRE(imported.ok());

  REQUIRE(imported->parameters.size() == 3);
  const RichParameter& name = imported->parameters[0];
  CHECK(name.name == "name");
  CHECK(name.required);
  CHECK_FALSE(name.is_mutable);
  const RichParameter& region = imported->parameters[1];
  CHECK(region.display_name == "Region");
  CHECK(region.description == "Where");
  CHECK(region.icon == "/map.png");
  CHECK(region.default_value == "eu");
  CHECK(region.type == "string");
  CHECK_FALSE(region.required);
  REQUIRE(region.options.size() == 2);
  CHECK(region.options[1].description == "Over there");
  CHECK(region.options[0].icon == "/eu.png");
  const RichParameter& size = imported->parameters[2];
  CHECK(size.type == "number");
  CHECK(size.default_value == "2");
  CHECK(size.validation_min == 1);
  CHECK(size.validation_max == 5);
  CHECK(size.validation_monotonic == "increasing");

  CHECK(imported->workspace_tags == std::map<std::string, std::string>{{"cluster", "dev"}});
  CHECK(imported->readme == "# About\n");
  REQUIRE(imported->variables.size() == 2);
  CHECK(imported->variables[0].name == "greeting");
  CHECK(imported->variables[0].description == "What to say");
  CHECK(imported->variables[1].default_value == "3");

  const Resource* box = Find(imported->start_resources, "box");
  REQUIRE(box != nullptr);
  CHECK(box->daily_cost == 3);
  REQUIRE(box->agents.size() == 1);
  REQUIRE(box->agents[0].apps.size() == 1);
  CHECK(Find(imported->start_resources, "disk") != nullptr);
  CHECK(Find(imported->stop_resources, "box") == nullptr);
  CHECK(Find(imported->stop_resources, "disk") != nullptr);
}

TEST_CASE("a workspace starts, stops and is deleted") {
  ::setenv("CODER_CANARY", "leaked-by-provisionerd", 1);
  Job job(kTemplate);
  BuildResult started = job.Build(Transition::kStart, "", {{"size", "4"}, {"name", "n"}});
  INFO(started.outcome << "\n" << job.text);
  REQUIRE(started.outcome.ok());
  REQUIRE(started.state.has_value());
  CHECK(absl::StrContains(job.text, "size is 4 for ada"));
  CHECK(absl::StrContains(job.text, "CODER_WORKSPACE_NAME=dev"));
  CHECK(absl::StrContains(job.text, "CODER_AGENT_URL=https://coder.example"));
  CHECK_FALSE(absl::StrContains(job.text, "leaked-by-provisionerd"));

  const Resource* box = Find(started.resources, "box");
  REQUIRE(box != nullptr);
  CHECK(box->icon == "/box.png");
  REQUIRE(box->metadata.size() == 1);
  CHECK(box->metadata[0].value == "eu");
  REQUIRE(box->agents.size() == 1);
  const Agent& agent = box->agents[0];
  CHECK(agent.name == "main");
  CHECK_FALSE(agent.token.empty());
  CHECK(agent.operating_system == "linux");
  CHECK(agent.env == std::map<std::string, std::string>{{"A", "b"}, {"EDITOR", "vi"}});
  REQUIRE(agent.apps.size() == 1);
  CHECK(agent.apps[0].slug == "web");
  CHECK(agent.apps[0].healthcheck->threshold == 6);
  REQUIRE(agent.scripts.size() == 1);
  CHECK(agent.scripts[0].run_on_start);
  REQUIRE(agent.metadata.size() == 1);
  CHECK(agent.metadata[0].interval_seconds == 5);
  bool timed = false;
  for (const StageTiming& timing : started.timings) {
    CHECK(timing.end >= timing.start);
    timed = timed || (timing.stage == "apply" && timing.resource == "terraform_data.box[0]");
  }
  CHECK(timed);

  Job stop(kTemplate);
  BuildResult stopped =
      stop.Build(Transition::kStop, *started.state, {{"size", "4"}, {"name", "n"}});
  INFO(stopped.outcome << "\n" << stop.text);
  REQUIRE(stopped.outcome.ok());
  CHECK(Find(stopped.resources, "box") == nullptr);
  CHECK(Find(stopped.resources, "disk") != nullptr);

  Job destroy(kTemplate);
  BuildResult deleted =
      destroy.Build(Transition::kDelete, *stopped.state, {{"size", "4"}, {"name", "n"}});
  INFO(deleted.outcome << "\n" << destroy.text);
  REQUIRE(deleted.outcome.ok());
  CHECK(deleted.resources.empty());
  CHECK_FALSE(absl::StrContains(deleted.state.value(), "terraform_data"));
}

TEST_CASE("deleting without a state runs nothing") {
  Job job("this is not a template {");
  BuildResult result = job.Build(Transition::kDelete);
  CHECK(result.outcome.ok());
  CHECK_FALSE(result.state.has_value());
}

TEST_CASE("a syntax error names its file and line") {
  Job job("resource \"terraform_data\" \"a\" {\n  input =\n}\n");
  auto imported = job.Import();
  CHECK(absl::IsFailedPrecondition(imported.status()));
  INFO(imported.status() << "\n" << job.text);
  CHECK(absl::StrContains(imported.status().message(), "main.tf:2: Invalid expression"));
  CHECK(absl::StrContains(job.text, "main.tf line 2"));
}

TEST_CASE("variables without a value are all named, with what gives them one") {
  Job job(
      "variable \"region\" {}\nvariable \"size\" { type = number }\nvariable \"as\" { default = 1 "
      "}\n");
  const absl::Status failed = job.Import().status();
  INFO(failed);
  REQUIRE(status::ReasonOf(failed).has_value());
  CHECK(status::ReasonOf(failed)->reason == "REQUIRED_TEMPLATE_VARIABLES");
  CHECK((absl::StrContains(failed.message(), "--variable region=VALUE --variable size=VALUE") ||
         absl::StrContains(failed.message(), "--variable size=VALUE --variable region=VALUE")));
}

TEST_CASE("an error found while planning names its file and line") {
  Job job("resource \"terraform_data\" \"a\" {\n  inptu = 3\n}\n");
  BuildResult result = job.Build(Transition::kStart);
  CHECK(absl::IsFailedPrecondition(result.outcome));
  INFO(result.outcome << "\n" << job.text);
  CHECK(absl::StrContains(result.outcome.message(), "main.tf:2: Unsupported argument"));
  CHECK_FALSE(result.state.has_value());
}

TEST_CASE("a failed apply keeps the state of what was made") {
  Job job(R"tf(
resource "terraform_data" "good" {
  input = "made"
}
resource "terraform_data" "bad" {
  depends_on = [terraform_data.good]
  provisioner "local-exec" {
    command = "echo no such machine; exit 3"
  }
}
)tf");
  BuildResult result = job.Build(Transition::kStart);
  CHECK(absl::IsFailedPrecondition(result.outcome));
  INFO(result.outcome << "\n" << job.text);
  CHECK(absl::StrContains(result.outcome.message(), "local-exec"));
  REQUIRE(result.state.has_value());
  CHECK(absl::StrContains(*result.state, "\"good\""));
  CHECK(absl::StrContains(job.text, "no such machine"));
}

TEST_CASE("sensitive values stay out of the log") {
  Job job(R"tf(
variable "secret" {}
resource "terraform_data" "a" {
  provisioner "local-exec" {
    command = "echo value=${var.secret}"
  }
}
)tf");
  BuildResult result = job.Build(Transition::kStart, "", {}, {{"secret", "correct-horse", true}});
  INFO(result.outcome << "\n" << job.text);
  CHECK(result.outcome.ok());
  CHECK(absl::StrContains(job.text, "value=(sensitive value)"));
  CHECK_FALSE(absl::StrContains(job.text, "correct-horse"));
}

TEST_CASE("a state that comes with the template is not used") {
  Job job("resource \"terraform_data\" \"a\" {}\n");
  job.Write("terraform.tfstate", "{ broken");
  BuildResult result = job.Build(Transition::kStart);
  INFO(result.outcome);
  CHECK(result.outcome.ok());
}

constexpr char kStuckTemplate[] = R"tf(
resource "terraform_data" "done" {
  input = "made"
}
resource "terraform_data" "stuck" {
  depends_on = [terraform_data.done]
  provisioner "local-exec" {
    command = "%s echo pid=$$; while true; do sleep 1000; done"
  }
}
)tf";

void CancelWhenRunning(const std::string& trap, bool kill_at_once) {
  std::string main_tf = kStuckTemplate;
  main_tf.replace(main_tf.find("%s"), 2, trap);
  Job job(main_tf);
  job.config.grace = absl::Seconds(2);
  std::string pid;
  job.on_line = [&](const EngineLogLine& line) {
    const std::size_t at = line.text.find("(local-exec): pid=");
    if (at == std::string::npos) return;
    pid = line.text.substr(at + 18);
    (kill_at_once ? job.kill : job.interrupt).request_stop();
  };
  BuildResult result = job.Build(Transition::kStart);
  INFO(result.outcome << "\n" << job.text);
  CHECK(absl::IsCancelled(result.outcome));
  REQUIRE_FALSE(pid.empty());
  CHECK(::kill(std::stoi(pid), 0) != 0);
  // A killed engine had no time to write.
  if (kill_at_once) return;
  REQUIRE(result.state.has_value());
  CHECK(absl::StrContains(*result.state, "\"done\""));
}

TEST_CASE("a canceled apply leaves no process and returns its state") {
  SECTION("interrupted") { CancelWhenRunning("", false); }
  SECTION("its script ignores the interrupt") { CancelWhenRunning("trap '' INT TERM;", false); }
  SECTION("killed") { CancelWhenRunning("", true); }
}

TEST_CASE("names and slugs that clients cannot address are refused") {
  const std::string head =
      "terraform {\n  required_providers {\n    coder = { source = \"coder/coder\" }\n  }\n}\n";
  SECTION("an agent's name") {
    Job job(head +
            "resource \"coder_agent\" \"my_box\" {\n os = \"linux\"\n arch = \"amd64\"\n}\n");
    auto imported = job.Import();
    INFO(imported.status());
    CHECK(absl::IsInvalidArgument(imported.status()));
    CHECK(absl::StrContains(imported.status().message(), "coder_agent.my_box"));
  }
}

TEST_CASE("a work directory too deep for the providers' sockets is refused") {
  Job job("resource \"terraform_data\" \"a\" {}\n");
  job.context.work_dir = absl::StrCat("/tmp/", std::string(80, 'x'));
  CHECK(absl::IsInvalidArgument(job.Build(Transition::kStart).outcome));
}

// Stands before the engine and notes each command in `calls`.
std::string NotingEngine(const std::string& folder, const std::string& engine) {
  const std::string path = folder + "/noting-engine";
  std::ofstream(path) << "#!/bin/sh\necho \"$1\" >>" << folder << "/calls\nexec " << engine
                      << " \"$@\"\n";
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  return path;
}

int Inits(const std::string& folder) {
  std::ifstream calls(folder + "/calls");
  int inits = 0;
  for (std::string line; std::getline(calls, line);) inits += line == "init" ? 1 : 0;
  return inits;
}

TEST_CASE("a template version is initialised once") {
  std::string folder = "/tmp/init.XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  prometheus::Registry registry;
  auto cache = InitCache::Create({.directory = folder + "/cache"}, registry);
  REQUIRE(cache.ok());
  const auto prepare = [&](Job& job, const char* version) {
    job.config.engine_path = NotingEngine(folder, job.config.engine_path);
    job.init_cache = cache->get();
    job.metadata.template_version_id = version;
  };
  constexpr char kBare[] = "resource \"terraform_data\" \"other\" {}\n";
  Job import(kTemplate);
  prepare(import, "v1");
  REQUIRE(import.Import().ok());
  CHECK(Inits(folder) == 1);
  Job start(kTemplate);
  prepare(start, "v1");
  const BuildResult started = start.Build(Transition::kStart, "", {{"size", "4"}, {"name", "n"}});
  INFO(start.text);
  CHECK(started.outcome == absl::OkStatus());
  CHECK(Inits(folder) == 1);
  // The next version no longer names the provider that the state needs.
  Job bare(kBare);
  prepare(bare, "v2");
  REQUIRE(bare.Import().ok());
  CHECK(Inits(folder) == 2);
  Job update(kBare);
  prepare(update, "v2");
  INFO(update.text);
  CHECK(update.Build(Transition::kStart, *started.state).outcome == absl::OkStatus());
  CHECK(Inits(folder) == 3);
  std::filesystem::remove_all(folder);
}

TEST_CASE("an engine that cannot be used is named at once") {
  clock::SystemClock clock;
  CHECK(absl::IsInvalidArgument(TerraformEngine::Create({.engine_path = "tofu"}, clock).status()));
  CHECK(absl::IsNotFound(TerraformEngine::Create({.engine_path = "/no/tofu"}, clock).status()));
}

}  // namespace
}  // namespace coder::provisionerd
