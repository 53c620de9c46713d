#include "cli/coderctl/session.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "libs/server/grpc_channel.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path SessionFile(const SessionOptions& options) {
  if (!options.config_dir.empty())
    return std::filesystem::path(options.config_dir) / "session.json";
  const std::string xdg = Environment("XDG_CONFIG_HOME");
  const std::filesystem::path base = xdg.empty()
                                         ? std::filesystem::path(Environment("HOME")) / ".config"
                                         : std::filesystem::path(xdg);
  return base / "coderctl" / "session.json";
}

absl::StatusOr<Credentials> ReadSessionFile(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) return Credentials{};
  const auto json = nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("read session file ", path.string(),
                     ": it is not a JSON object; delete it and log in again"));
  }
  const auto text = [&json](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  return Credentials{text("url"), text("token")};
}

std::string FirstSet(std::string first, std::string second, std::string third) {
  if (!first.empty()) return first;
  return second.empty() ? std::move(third) : std::move(second);
}

}  // namespace

absl::StatusOr<Credentials> ResolveCredentials(const SessionOptions& options) {
  ASSIGN_OR_RETURN(Credentials saved, ReadSessionFile(SessionFile(options)));
  Credentials resolved;
  resolved.url = FirstSet(options.url, Environment("CODER_URL"), saved.url);
  if (resolved.url.empty()) {
    return absl::FailedPreconditionError(
        "find the deployment: no URL is known; run `coderctl login URL`, or set CODER_URL");
  }
  resolved.token = FirstSet(options.token, Environment("CODER_SESSION_TOKEN"),
                            resolved.url == saved.url ? saved.token : "");
  return resolved;
}

absl::Status SaveCredentials(const SessionOptions& options, const Credentials& credentials) {
  const std::filesystem::path path = SessionFile(options);
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const mode_t previous = umask(0077);
  std::ofstream out(path, std::ios::trunc);
  umask(previous);
  out << nlohmann::json{{"url", credentials.url}, {"token", credentials.token}}.dump(2) << '\n';
  out.close();
  if (!out) {
    return absl::InternalError(absl::StrCat("write session file ", path.string(),
                                            ": not possible; check the folder's permissions"));
  }
  return absl::OkStatus();
}

absl::Status ForgetToken(const SessionOptions& options) {
  ASSIGN_OR_RETURN(Credentials saved, ReadSessionFile(SessionFile(options)));
  saved.token.clear();
  return SaveCredentials(options, saved);
}

Session::Session(Credentials credentials, absl::Duration timeout,
                 std::shared_ptr<grpc::Channel> channel)
    : credentials_(std::move(credentials)), timeout_(timeout), channel_(std::move(channel)) {}

absl::StatusOr<Session> Session::Open(Credentials credentials, absl::Duration timeout,
                                      int connection) {
  absl::string_view target = credentials.url;
  const bool secure = absl::ConsumePrefix(&target, "https://");
  if (!secure) absl::ConsumePrefix(&target, "http://");
  absl::ConsumeSuffix(&target, "/");
  if (target.empty() || absl::StrContains(target, '/')) {
    return absl::InvalidArgumentError(
        absl::StrCat("connect to '", credentials.url,
                     "': not a host:port; use for example "
                     "http://127.0.0.1:7080 or https://coder.example.com"));
  }
  // gRPC gives channels of equal arguments one connection.
  std::string user_agent = absl::StrCat("coderctl/", std::string(server::Version()));
  if (connection > 0) absl::StrAppend(&user_agent, " connection/", connection);
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                   server::CreateChannel({.target = std::string(target),
                                          .plaintext = !secure,
                                          .user_agent = std::move(user_agent)}));
  return Session(std::move(credentials), timeout, std::move(channel));
}

void Session::PrepareStream(grpc::ClientContext& context) const {
  if (!credentials_.token.empty()) {
    context.AddMetadata("authorization", absl::StrCat("Bearer ", credentials_.token));
  }
}

void Session::PrepareCall(grpc::ClientContext& context) const {
  PrepareStream(context);
  context.set_deadline(server::CallDeadline(timeout_));
}

}  // namespace coder::cli
