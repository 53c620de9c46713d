#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_join.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/password_prompt.h"
#include "coder/api/v1/auth.grpc.pb.h"
#include "coder/api/v1/deployment.grpc.pb.h"
#include "libs/clock/system_clock.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::AuthService;

struct LoginOptions {
  std::string url;
  std::string email;
  std::string username;
  bool password_stdin = false;
};

absl::Status CreateFirstUser(const Session& session, const LoginOptions& options,
                             const std::string& email, const std::string& password) {
  api::v1::CreateFirstUserRequest request;
  request.set_email(email);
  request.set_username(options.username);
  if (options.username.empty()) {
    ASSIGN_OR_RETURN(std::string username, AskLine("username of the first user", "--username"));
    request.set_username(username);
  }
  request.set_password(password);
  ASSIGN_OR_RETURN(api::v1::CreateFirstUserResponse response,
                   Call<AuthService>(session, &AuthService::Stub::CreateFirstUser, request));
  std::cerr << "created the first user, " << response.user().username() << ", an owner\n";
  return absl::OkStatus();
}

absl::Status Login(const CommandLine& line, const LoginOptions& options) {
  SessionOptions where = line.session;
  if (!options.url.empty()) where.url = options.url;
  ASSIGN_OR_RETURN(Credentials credentials, ResolveCredentials(where));
  credentials.token.clear();
  ASSIGN_OR_RETURN(Session session, Session::Open(credentials, where.timeout));
  ASSIGN_OR_RETURN(
      api::v1::GetFirstUserResponse first,
      Call<AuthService>(session, &AuthService::Stub::GetFirstUser, api::v1::GetFirstUserRequest()));
  std::string email = options.email;
  if (email.empty()) {
    ASSIGN_OR_RETURN(email,
                     AskLine(first.exists() ? "e-mail" : "e-mail of the first user", "--email"));
  }
  ASSIGN_OR_RETURN(std::string password, AskPassword("password: ", options.password_stdin));
  if (!first.exists()) {
    RETURN_IF_ERROR(CreateFirstUser(session, options, email, password));
  }
  api::v1::LoginRequest request;
  request.set_email(email);
  request.set_password(password);
  ASSIGN_OR_RETURN(api::v1::LoginResponse response,
                   Call<AuthService>(session, &AuthService::Stub::Login, request));
  credentials.token = response.session_token();
  RETURN_IF_ERROR(SaveCredentials(where, credentials));
  std::cerr << "logged in to " << credentials.url << " as " << response.user().username() << "\n";
  return absl::OkStatus();
}

absl::Status Logout(const CommandLine& line) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  const auto response =
      Call<AuthService>(session, &AuthService::Stub::Logout, api::v1::LogoutRequest());
  // A token the server no longer knows is as good as logged out.
  if (!response.ok() && response.status().code() != absl::StatusCode::kUnauthenticated) {
    return response.status();
  }
  return ForgetToken(line.session);
}

absl::Status WhoAmI(const CommandLine& line) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(
      api::v1::WhoAmIResponse response,
      Call<AuthService>(session, &AuthService::Stub::WhoAmI, api::v1::WhoAmIRequest()));
  Table table({"USERNAME", "EMAIL", "ROLES", "ORGANIZATIONS"});
  std::vector<std::string> organizations;
  for (const auto& membership : response.memberships()) {
    organizations.push_back(membership.organization_name());
  }
  table.AddRow({response.user().username(), response.user().email(),
                absl::StrJoin(response.user().roles(), ","), absl::StrJoin(organizations, ",")});
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status CreateToken(const CommandLine& line, const std::string& name, double lifetime_hours) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::CreateTokenRequest request;
  request.set_name(name);
  if (lifetime_hours > 0) {
    request.mutable_lifetime()->set_seconds(static_cast<int64_t>(lifetime_hours * 3600));
  }
  ASSIGN_OR_RETURN(api::v1::CreateTokenResponse response,
                   Call<AuthService>(session, &AuthService::Stub::CreateToken, request));
  if (line.output == OutputFormat::kJson) {
    std::cout << ToJson(response, false);
    return absl::OkStatus();
  }
  std::cerr << "this secret is shown once:\n";
  std::cout << response.secret() << std::endl;
  return absl::OkStatus();
}

absl::Status ListTokens(const CommandLine& line) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(
      api::v1::ListTokensResponse response,
      Call<AuthService>(session, &AuthService::Stub::ListTokens, api::v1::ListTokensRequest()));
  const absl::Time now = clock::SystemClock().Now();
  Table table({"ID", "NAME", "LAST USED", "EXPIRES"});
  for (const auto& token : response.tokens()) {
    table.AddRow({token.id(), token.name().empty() ? "(session)" : token.name(),
                  FormatAge(token.last_use_time(), token.has_last_use_time(), now),
                  FormatTime(token.expire_time(), token.has_expire_time())});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status RevokeToken(const CommandLine& line, const std::string& id) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::RevokeTokenRequest request;
  request.set_id(id);
  return Call<AuthService>(session, &AuthService::Stub::RevokeToken, request).status();
}

absl::Status ListExperiments(const CommandLine& line) {
  using api::v1::DeploymentService;
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::ListExperimentsResponse response,
                   Call<DeploymentService>(session, &DeploymentService::Stub::ListExperiments,
                                           api::v1::ListExperimentsRequest()));
  Table table({"NAME", "ENABLED", "DESCRIPTION"});
  for (const auto& experiment : response.experiments()) {
    table.AddRow(
        {experiment.name(), experiment.enabled() ? "yes" : "no", experiment.description()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status ShowVersion(const CommandLine& line) {
  using api::v1::DeploymentService;
  std::cout << "coderctl " << server::VersionText() << std::endl;
  if (!ResolveCredentials(line.session).ok()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::GetDeploymentInfoResponse response,
                   Call<DeploymentService>(session, &DeploymentService::Stub::GetDeploymentInfo,
                                           api::v1::GetDeploymentInfoRequest()));
  std::cout << "coderd-api " << response.version() << " (revision " << response.revision()
            << ") at " << session.credentials().url << std::endl;
  return absl::OkStatus();
}

void AddTokenCommands(CLI::App& root, CommandLine& line) {
  CLI::App* tokens = root.add_subcommand("tokens", "API tokens of your account");
  tokens->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto lifetime = std::make_shared<double>(0);
  CLI::App* create =
      AddCommand(*tokens, line, "create", "Make a token; its secret is shown once",
                 [&line, name, lifetime] { return CreateToken(line, *name, *lifetime); });
  create->add_option("name", *name, "1-64 characters")->required();
  create->add_option("--lifetime-hours", *lifetime, "How long it is valid (168)")
      ->check(CLI::Range(0.02, 8760.0));
  AddCommand(*tokens, line, "list", "Live sessions and tokens",
             [&line] { return ListTokens(line); });
  auto id = std::make_shared<std::string>();
  AddCommand(*tokens, line, "revoke", "End a session or token",
             [&line, id] { return RevokeToken(line, *id); })
      ->add_option("id", *id, "As `tokens list` shows it")
      ->required();
}

}  // namespace

void AddAccountCommands(CLI::App& root, CommandLine& line) {
  auto login = std::make_shared<LoginOptions>();
  CLI::App* command =
      AddCommand(root, line, "login", "Log in; creates the first user of a new deployment",
                 [&line, login] { return Login(line, *login); });
  command->add_option("address", login->url, "The deployment, such as http://127.0.0.1:7080");
  command->add_option("--email", login->email, "Asked for when not given");
  command->add_option("--username", login->username, "Of the first user");
  command->add_flag("--password-stdin", login->password_stdin,
                    "Read the password from standard input");
  AddCommand(root, line, "logout", "End the session", [&line] { return Logout(line); });
  AddCommand(root, line, "whoami", "Who you are here", [&line] { return WhoAmI(line); });
  AddCommand(root, line, "version", "Version of coderctl and of the deployment",
             [&line] { return ShowVersion(line); });
  AddCommand(root, line, "experiments", "What is switched on",
             [&line] { return ListExperiments(line); });
  AddTokenCommands(root, line);
}

}  // namespace coder::cli
