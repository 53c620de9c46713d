#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/coderctl/audit_terms.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/completion.h"
#include "cli/coderctl/duration_text.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/template_policy.h"
#include "cli/coderctl/variables_file.h"
#include "libs/status/error_reason.h"

namespace coder::cli {
namespace {

/// What is written to std::cerr while it lives.
class CapturedErrors {
 public:
  CapturedErrors() : before_(std::cerr.rdbuf(stream_.rdbuf())) {}
  ~CapturedErrors() { std::cerr.rdbuf(before_); }
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  std::string text() const { return stream_.str(); }

 private:
  std::ostringstream stream_;
  std::streambuf* const before_;
};

std::string FreshDirectory(const std::string& name) {
  const auto path = std::filesystem::path(std::getenv("TEST_TMPDIR")) / name;
  std::filesystem::remove_all(path);
  return path.string();
}

TEST_CASE("the audit log is asked for in times, durations and words") {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  const auto request = AuditRequest({.user = "ada",
                                     .action = "login",
                                     .since = "24h",
                                     .until = "1970-01-12T00:00:00Z",
                                     .denied = true},
                                    now);
  REQUIRE(request.ok());
  CHECK(request->actor() == "ada");
  CHECK(request->action() == api::v1::AUDIT_ACTION_LOGIN);
  CHECK(request->outcome() == api::v1::AUDIT_OUTCOME_DENIED);
  CHECK(request->start_time().seconds() == 1'000'000 - 86'400);
  CHECK(request->end_time().seconds() == 11 * 86'400);
  const auto all = AuditRequest({}, now);
  REQUIRE(all.ok());
  CHECK(all->SerializeAsString().empty());
  CHECK(AuditRequest({.action = "unspecified"}, now).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(AuditRequest({.since = "yesterday"}, now).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a table aligns its columns and tames control characters") {
  Table table({"NAME", "STATUS"});
  table.AddRow({"a-long-name", "ok"});
  table.AddRow({"evil\x1b[2J", ""});
  CHECK(table.ToString() ==
        "NAME         STATUS\n"
        "a-long-name  ok\n"
        "evil?[2J\n");
}

TEST_CASE("an error says what, why and what to do") {
  const absl::Status error =
      status::WithReason(absl::FailedPreconditionError("create build: build 4 is running"),
                         "BUILD_ACTIVE", {{"number", "4"}});
  CHECK(FormatError(error) ==
        "error: create build: build 4 is running\n"
        "cause: FAILED_PRECONDITION BUILD_ACTIVE number=4\n"
        "fix:   look at the current state with `coderctl show`, then try again\n");
  CHECK_THAT(FormatError(absl::InvalidArgumentError("read x: bad; use y")),
             Catch::StartsWith("error: read x: bad\n") && Catch::EndsWith("fix:   use y\n"));
  CHECK(ExitCode(error) == 5);
  CHECK(ExitCode(absl::OkStatus()) == 0);
  CHECK(ExitCode(absl::NotFoundError("")) == 3);
  CHECK(ExitCode(absl::UnauthenticatedError("")) == 4);
  CHECK(ExitCode(absl::UnavailableError("")) == 6);
  CHECK(ExitCode(absl::CancelledError("")) == 130);
  CHECK(ExitCode(absl::InternalError("")) == 1);
}

TEST_CASE("flags come before the environment, the environment before the session file") {
  SessionOptions options;
  options.config_dir = FreshDirectory("config");
  unsetenv("CODER_URL");
  unsetenv("CODER_SESSION_TOKEN");
  CHECK(ResolveCredentials(options).status().code() == absl::StatusCode::kFailedPrecondition);

  REQUIRE(SaveCredentials(options, {"http://saved:1", "saved-token"}).ok());
  CHECK(ResolveCredentials(options)->token == "saved-token");
  const auto mode = std::filesystem::status(options.config_dir + "/session.json").permissions();
  CHECK((mode & std::filesystem::perms::others_all) == std::filesystem::perms::none);
  CHECK((mode & std::filesystem::perms::group_all) == std::filesystem::perms::none);

  setenv("CODER_URL", "http://environment:1", 1);
  const auto from_environment = ResolveCredentials(options);
  CHECK(from_environment->url == "http://environment:1");
  // The saved token belongs to the saved deployment only.
  CHECK(from_environment->token.empty());

  options.url = "http://flag:1";
  options.token = "flag-token";
  CHECK(ResolveCredentials(options)->url == "http://flag:1");
  CHECK(ResolveCredentials(options)->token == "flag-token");
  unsetenv("CODER_URL");
}

TEST_CASE("a damaged session file is an error with a remedy") {
  SessionOptions options;
  options.config_dir = FreshDirectory("damaged");
  std::filesystem::create_directories(options.config_dir);
  std::ofstream(options.config_dir + "/session.json") << "not json";
  const auto result = ResolveCredentials(options);
  CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(result.status().message()), Catch::Contains("log in again"));
}

TEST_CASE("addresses that are not host:port are refused") {
  CHECK_FALSE(Session::Open({"http://host/path", ""}, absl::Seconds(1)).ok());
  CHECK_FALSE(Session::Open({"http://", ""}, absl::Seconds(1)).ok());
  CHECK(Session::Open({"127.0.0.1:1", ""}, absl::Seconds(1)).ok());
}

TEST_CASE("assignments and durations are read strictly") {
  CHECK(SplitAssignment("a=b=c")->second == "b=c");
  CHECK_FALSE(SplitAssignment("a").ok());
  CHECK_FALSE(SplitAssignment("=b").ok());
  CHECK(*ParseDurationText("1h30m") == absl::Minutes(90));
  CHECK_FALSE(ParseDurationText("90").ok());
  CHECK_FALSE(ParseDurationText("-1h").ok());
}

TEST_CASE("completion knows every command") {
  CommandLine line;
  CLI::App root("coderctl", "coderctl");
  AddTemplateCommands(root, line);
  AddCompletionCommand(root, line);
  const std::string bash = CompletionScript(root, "bash");
  CHECK_THAT(bash, Catch::Contains("'templates') words='push list versions"));
  CHECK_THAT(bash, Catch::Contains("'templates push') words='"));
  CHECK_THAT(CompletionScript(root, "zsh"), Catch::StartsWith("autoload"));
  CHECK_THAT(CompletionScript(root, "fish"), Catch::Contains("-a push"));
}

TEST_CASE("a command line that cannot be understood exits with 2") {
  const char* argv[] = {"coderctl", "create"};
  CHECK(RunCoderctl(2, const_cast<char**>(argv)) == 2);
}

TEST_CASE("a misspelt command is named, and the nearest one offered") {
  struct Row {
    std::string name;
    std::vector<const char*> argv;
    std::string said;
  };
  const Row rows[] = {
      {"one letter off", {"coderctl", "creat", "dev"}, "did you mean: coderctl create\n"},
      {"nothing near",
       {"coderctl", "frobnicate"},
       "has no command \"frobnicate\"\nfix:   see coderctl --help\n"},
      {"below a noun", {"coderctl", "templates", "psh"}, "did you mean: coderctl templates push\n"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const CapturedErrors errors;
      CHECK(RunCoderctl(static_cast<int>(row.argv.size()), const_cast<char**>(row.argv.data())) ==
            2);
      CHECK_THAT(errors.text(), Catch::EndsWith(row.said));
    }
  }
}

TEST_CASE("each field of a template's policy is read from text and written as such") {
  struct Row {
    const char* field;
    const char* text;
    const char* stored;
  };
  const Row rows[] = {
      {"default_ttl", "8h", "8h"},
      {"default_ttl", "off", "off"},
      {"activity_bump", "90m", "1h30m"},
      {"require_active_version", "true", "true"},
      {"autostart_allowed_days", "mon-fri", "mon,tue,wed,thu,fri"},
      {"autostart_allowed_days", "all", "all"},
      {"autostop_requirement_days", "sat,sun", "sat,sun"},
      {"autostop_requirement_days", "none", "none"},
      {"autostop_requirement_weeks", "2", "2"},
      {"deprecation_message", "use rust", "use rust"},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.field << " " << row.text) {
      api::v1::Template target;
      REQUIRE(SetPolicyField(row.field, row.text, target).ok());
      CHECK(PolicyFieldText(row.field, target) == row.stored);
    }
  }
  const Row bad[] = {
      {"default_ttl", "8", "--default-ttl"},
      {"require_active_version", "yes", "true or false"},
      {"autostart_allowed_days", "fri-mon", "mon-fri,sun"},
      {"autostart_allowed_days", "everyday", "mon-fri,sun"},
      {"autostart_max_attempts", "many", "whole number"},
  };
  for (const Row& row : bad) {
    DYNAMIC_SECTION("bad " << row.field << " " << row.text) {
      api::v1::Template target;
      const absl::Status refused = SetPolicyField(row.field, row.text, target);
      CHECK(absl::IsInvalidArgument(refused));
      CHECK_THAT(std::string(refused.message()), Catch::Contains(row.stored));
    }
  }
  for (const PolicyField& field : PolicyFields()) {
    CHECK(api::v1::Template::descriptor()->FindFieldByName(field.name) != nullptr);
  }
}

TEST_CASE("a variables file is a JSON object") {
  const auto values = ParseVariables("v.json", R"({"region": "eu", "limit": 3, "zones": ["a"]})");
  REQUIRE(values.ok());
  CHECK(*values == VariableValues{{"limit", "3"}, {"region", "eu"}, {"zones", "[\"a\"]"}});
  for (const char* text : {"", "[]", "region = eu", R"({"region": null})"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseVariables("v.json", text).status()));
  }
  CHECK(absl::IsNotFound(ReadVariablesFile("/nowhere/v.json").status()));
}

}  // namespace
}  // namespace coder::cli
