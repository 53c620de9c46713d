#include "libs/server/options.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "libs/server/version.h"

namespace coder::server {
namespace {

std::string TempFile(const std::string& content) {
  const char* dir = std::getenv("TEST_TMPDIR");
  std::string path = std::string(dir ? dir : "/tmp") + "/options.XXXXXX";
  const int fd = mkstemp(path.data());
  REQUIRE(fd >= 0);
  close(fd);
  std::ofstream(path) << content;
  return path;
}

struct Config {
  std::string name = "fallback";
  int workers = 4;
  bool tls = false;
  absl::Duration wait = absl::Seconds(5);
  std::vector<std::string> hosts;
  std::string listen = "127.0.0.1:0";
  std::string mode = "a";
  Secret password;
};

struct Program {
  Config config;
  OptionSet options{"demo", "shows options"};

  Program() {
    options.Group("Demo");
    options.Text("name", &config.name, "what it is called");
    options.Integer("workers", &config.workers, 1, 64, "how many");
    options.Bool("tls", &config.tls, "whether to encrypt");
    options.Duration("wait", &config.wait, absl::Seconds(1), "how long");
    options.List("hosts", &config.hosts, "where");
    options.HostPort("grpc-listen", &config.listen, "address");
    options.Choice("mode", &config.mode, {"a", "b"}, "which way");
    options.SecretText("db-password", &config.password, "the password");
    options.Command("serve", "run");
    options.Command("migrate", "prepare the database");
    options.Example("demo --workers=8");
  }

  absl::StatusOr<CommandLine> Load(std::vector<const char*> flags, Environment env = {}) {
    flags.insert(flags.begin(), "demo");
    return options.Load(static_cast<int>(flags.size()), flags.data(), env);
  }
};

TEST_CASE("a flag beats the environment, which beats the file, which beats the default") {
  const std::string file = TempFile("name: from-file\nworkers: 7\n");
  struct Row {
    const char* name;
    bool flag, env, file;
    std::string want;
    Origin origin;
  };
  for (const Row& row : std::vector<Row>{
           {"all", true, true, true, "from-flag", Origin::kFlag},
           {"env and file", false, true, true, "from-env", Origin::kEnvironment},
           {"file", false, false, true, "from-file", Origin::kFile},
           {"flag and file", true, false, true, "from-flag", Origin::kFlag},
           {"none", false, false, false, "fallback", Origin::kDefault},
       }) {
    DYNAMIC_SECTION(row.name) {
      Program program;
      const std::string config_flag = "--config=" + file;
      std::vector<const char*> flags;
      if (row.flag) flags.push_back("--name=from-flag");
      if (row.file) flags.push_back(config_flag.c_str());
      Environment env;
      if (row.env) env["CODER_NAME"] = "from-env";
      auto loaded = program.Load(flags, env);
      REQUIRE(loaded.ok());
      CHECK(program.config.name == row.want);
      CHECK(loaded->values.at(1).name == "name");
      CHECK(loaded->values.at(1).origin == row.origin);
    }
  }
}

TEST_CASE("every type is read") {
  Program program;
  auto loaded = program.Load({"migrate", "now", "--workers", "8", "--tls", "--wait=1m30s",
                              "--hosts=a, b", "--grpc-listen=[::1]:0", "--mode=b"});
  REQUIRE(loaded.ok());
  CHECK(loaded->command == "migrate");
  CHECK(loaded->arguments == std::vector<std::string>{"now"});
  CHECK(program.config.workers == 8);
  CHECK(program.config.tls);
  CHECK(program.config.wait == absl::Seconds(90));
  CHECK(program.config.hosts == std::vector<std::string>{"a", "b"});
  CHECK(program.config.listen == "[::1]:0");
  CHECK(program.config.mode == "b");
  Program off;
  REQUIRE(off.Load({"--no-tls"}, {{"CODER_TLS", "true"}}).ok());
  CHECK_FALSE(off.config.tls);
}

TEST_CASE("all problems are reported at once, each with option, value, source and remedy") {
  const std::string file = TempFile("mdoe: b\nhosts: [a, b]\n");
  Program program;
  const std::string config_flag = "--config=" + file;
  auto loaded = program.Load({"--worker=3", "--workers=99", config_flag.c_str(), "--wait=5",
                              "--grpc-listen=nowhere", "-x", "frobnicate"},
                             {{"CODER_TLS", "maybe"}});
  REQUIRE(loaded.status().code() == absl::StatusCode::kInvalidArgument);
  const std::string text(loaded.status().message());
  INFO(text);
  for (const std::string& line : std::vector<std::string>{
           "flag --worker is unknown; did you mean workers?",
           "option workers \"99\" (flag --workers): use a whole number from 1 to 64",
           "option mdoe in file " + file + " (from flag --config) is unknown; did you mean mode?",
           ("option wait \"5\" (flag --wait): use a duration with its unit, as in 250ms, 1m30s "
            "or 2h"),
           ("option grpc-listen \"nowhere\" (flag --grpc-listen): the port is missing; use "
            "host:port"),
           "flag -x is unknown; flags have two dashes and a long name, see --help",
           "option tls \"maybe\" (environment CODER_TLS): use true or false",
           "command \"frobnicate\" is unknown; see --help",
       }) {
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("a secret comes from its file, is never shown, and two of one rank are refused") {
  const std::string file = TempFile("hunter2\n");
  const std::string flag = "--db-password-file=" + file;
  Program program;
  auto loaded = program.Load({flag.c_str(), "--print-config"}, {{"CODER_DB_PASSWORD", "env"}});
  REQUIRE(loaded.ok());
  CHECK(program.config.password.Reveal() == "hunter2");
  REQUIRE(loaded->text.has_value());
  CHECK(loaded->text->find("hunter2") == std::string::npos);
  CHECK(loaded->text->find("db-password: ***  # flag") != std::string::npos);
  Program both;
  CHECK(both.Load({flag.c_str(), "--db-password=x"}).status().message() ==
        "options db-password and db-password-file are both given (flag); keep one");
}

TEST_CASE("a missing required option and a rule over several are refused") {
  Program program;
  std::string url;
  program.options.Text("url", &url, "where the API is");
  program.options.Required();
  CHECK(program.Load({}).status().message() == "option url is missing; set --url or CODER_URL");
  Program ruled;
  ruled.options.Check([&]() -> std::optional<std::string> {
    if (ruled.config.workers < 5) return "options workers and wait: use at least 5 workers";
    return std::nullopt;
  });
  CHECK(ruled.Load({}).status().message() == "options workers and wait: use at least 5 workers");
}

TEST_CASE("help names each option with its variable and default; version tells the release") {
  Program program;
  auto loaded = program.Load({"--help", "--bogus"});
  REQUIRE(loaded.ok());
  CHECK(loaded->text->find("--grpc-listen=<host:port>  [CODER_GRPC_LISTEN]\n      address "
                           "(default 127.0.0.1:0)") != std::string::npos);
  CHECK(loaded->text->find("demo --workers=8") != std::string::npos);
  Program versioned;
  CHECK(*versioned.Load({"--version"})->text == "demo " + VersionText() + "\n");
}

TEST_CASE("host and port are split or refused") {
  struct Row {
    const char* text;
    bool ok;
    const char* host;
    int port;
  };
  for (const Row& row : std::vector<Row>{{"a:1", true, "a", 1},
                                         {":0", true, "", 0},
                                         {"[::1]:65535", true, "::1", 65535},
                                         {"a:65536", false, "", 0},
                                         {"a:", false, "", 0},
                                         {"a:-1", false, "", 0},
                                         {"::1:80", false, "", 0}}) {
    DYNAMIC_SECTION(row.text) {
      auto parsed = ParseHostPort(row.text);
      REQUIRE(parsed.ok() == row.ok);
      if (row.ok) {
        CHECK(parsed->host == row.host);
        CHECK(parsed->port == row.port);
      }
    }
  }
}

}  // namespace
}  // namespace coder::server
