#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/lookup.h"
#include "cli/coderctl/password_prompt.h"
#include "coder/api/v1/organization.grpc.pb.h"
#include "coder/api/v1/schedule.grpc.pb.h"
#include "coder/api/v1/user.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using api::v1::OrganizationService;
using api::v1::ScheduleService;
using api::v1::UserService;

std::string StatusName(api::v1::UserStatus status) {
  switch (status) {
    case api::v1::USER_STATUS_ACTIVE:
      return "active";
    case api::v1::USER_STATUS_SUSPENDED:
      return "suspended";
    case api::v1::USER_STATUS_DORMANT:
      return "dormant";
    default:
      return "unknown";
  }
}

absl::Status ListUsers(const CommandLine& line, const std::string& search) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::ListUsersResponse all;
  api::v1::ListUsersRequest request;
  request.set_search(search);
  request.set_page_size(500);
  do {
    ASSIGN_OR_RETURN(api::v1::ListUsersResponse page,
                     Call<UserService>(session, &UserService::Stub::ListUsers, request));
    all.mutable_users()->MergeFrom(page.users());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  Table table({"USERNAME", "EMAIL", "STATUS", "ROLES"});
  for (const auto& user : all.users()) {
    table.AddRow({user.username(), user.email(), StatusName(user.status()),
                  absl::StrJoin(user.roles(), ",")});
  }
  Print(line.output, table, all);
  return absl::OkStatus();
}

struct NewUser {
  std::string email;
  std::string username;
  bool password_stdin = false;
};

absl::Status CreateUser(const CommandLine& line, const NewUser& user) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(std::string password,
                   AskPassword("password of the new user: ", user.password_stdin));
  api::v1::CreateUserRequest request;
  request.set_email(user.email);
  request.set_username(user.username);
  request.set_password(password);
  ASSIGN_OR_RETURN(api::v1::CreateUserResponse response,
                   Call<UserService>(session, &UserService::Stub::CreateUser, request));
  std::cerr << "created user " << response.user().username() << "\n";
  return absl::OkStatus();
}

absl::Status SetStatus(const CommandLine& line, const std::string& user,
                       api::v1::UserStatus status) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::SetUserStatusRequest request;
  request.set_user(user);
  request.set_status(status);
  return Call<UserService>(session, &UserService::Stub::SetUserStatus, request).status();
}

absl::Status SetRoles(const CommandLine& line, const std::string& user,
                      const std::vector<std::string>& roles) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::SetUserRolesRequest request;
  request.set_user(user);
  for (const std::string& role : roles) {
    if (role != "none") request.add_roles(role);
  }
  return Call<UserService>(session, &UserService::Stub::SetUserRoles, request).status();
}

absl::Status DeleteUser(const CommandLine& line, const std::string& user) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::DeleteUserRequest request;
  request.set_user(user);
  return Call<UserService>(session, &UserService::Stub::DeleteUser, request).status();
}

absl::Status QuietHours(const CommandLine& line, const std::string& user,
                        const std::string& schedule) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::QuietHours hours;
  if (schedule.empty()) {
    api::v1::GetQuietHoursRequest request;
    request.set_user(user);
    ASSIGN_OR_RETURN(
        api::v1::GetQuietHoursResponse response,
        Call<ScheduleService>(session, &ScheduleService::Stub::GetQuietHours, request));
    hours = response.quiet_hours();
  } else {
    api::v1::SetQuietHoursRequest request;
    request.set_user(user);
    if (schedule != "default") request.set_schedule(schedule);
    ASSIGN_OR_RETURN(
        api::v1::SetQuietHoursResponse response,
        Call<ScheduleService>(session, &ScheduleService::Stub::SetQuietHours, request));
    hours = response.quiet_hours();
  }
  Table table({"QUIET HOURS", "CHOSEN", "NEXT"});
  table.AddRow({hours.schedule(), hours.is_default() ? "no" : "yes",
                FormatTime(hours.next_time(), hours.has_next_time())});
  Print(line.output, table, hours);
  return absl::OkStatus();
}

absl::Status ListOrganizations(const CommandLine& line) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  ASSIGN_OR_RETURN(api::v1::ListOrganizationsResponse response,
                   Call<OrganizationService>(session, &OrganizationService::Stub::ListOrganizations,
                                             api::v1::ListOrganizationsRequest()));
  Table table({"NAME", "DISPLAY NAME", "DEFAULT", "ID"});
  for (const auto& organization : response.organizations()) {
    table.AddRow({organization.name(), organization.display_name(),
                  organization.is_default() ? "yes" : "no", organization.id()});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status CreateOrganization(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::CreateOrganizationRequest request;
  request.set_name(name);
  return Call<OrganizationService>(session, &OrganizationService::Stub::CreateOrganization, request)
      .status();
}

absl::Status ListMembers(const CommandLine& line, const std::string& name) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::ListMembersRequest request;
  request.set_organization(name.empty() ? "default" : name);
  request.set_page_size(500);
  ASSIGN_OR_RETURN(
      api::v1::ListMembersResponse response,
      Call<OrganizationService>(session, &OrganizationService::Stub::ListMembers, request));
  Table table({"USERNAME", "ROLES"});
  for (const auto& member : response.members()) {
    table.AddRow({member.username(), absl::StrJoin(member.roles(), ",")});
  }
  Print(line.output, table, response);
  return absl::OkStatus();
}

absl::Status AddMember(const CommandLine& line, const std::string& organization,
                       const std::string& user, const std::vector<std::string>& roles) {
  ASSIGN_OR_RETURN(Session session, line.Connect());
  api::v1::AddMemberRequest request;
  request.set_organization(organization);
  request.set_user(user);
  request.mutable_roles()->Add(roles.begin(), roles.end());
  return Call<OrganizationService>(session, &OrganizationService::Stub::AddMember, request)
      .status();
}

}  // namespace

void AddUserCommands(CLI::App& root, CommandLine& line) {
  CLI::App* users = root.add_subcommand("users", "Users of the deployment");
  users->require_subcommand(1);
  auto search = std::make_shared<std::string>();
  AddCommand(*users, line, "list", "All users you may see", [&line, search] {
    return ListUsers(line, *search);
  })->add_option("--search", *search, "Part of the username, name or e-mail");
  auto user = std::make_shared<NewUser>();
  CLI::App* create = AddCommand(*users, line, "create", "Create an active user",
                                [&line, user] { return CreateUser(line, *user); });
  create->add_option("username", user->username, "1-32 letters, digits and single hyphens")
      ->required();
  create->add_option("--email", user->email)->required();
  create->add_flag("--password-stdin", user->password_stdin,
                   "Read the password from standard input");
  auto name = std::make_shared<std::string>();
  const auto named = [&](const char* verb, const char* description,
                         std::function<absl::Status()> run) {
    CLI::App* command = AddCommand(*users, line, verb, description, std::move(run));
    command->add_option("user", *name, "Id or username")->required();
    return command;
  };
  named("suspend", "Stop a user's sessions, tokens and log-ins",
        [&line, name] { return SetStatus(line, *name, api::v1::USER_STATUS_SUSPENDED); });
  named("activate", "Let a suspended user back in",
        [&line, name] { return SetStatus(line, *name, api::v1::USER_STATUS_ACTIVE); });
  named("delete", "Delete a user without workspaces",
        [&line, name] { return DeleteUser(line, *name); });
  auto roles = std::make_shared<std::vector<std::string>>();
  named("roles", "Replace a user's site roles",
        [&line, name, roles] { return SetRoles(line, *name, *roles); })
      ->add_option("roles", *roles, "owner, template-admin, user-admin, auditor, or none")
      ->required();
  auto hours = std::make_shared<std::string>();
  named("quiet-hours", "When required stops may be done; with a schedule: change it",
        [&line, name, hours] { return QuietHours(line, *name, *hours); })
      ->add_option("schedule", *hours, "Such as 'CRON_TZ=Europe/Berlin 0 3 * * *', or default");
}

void AddOrganizationCommands(CLI::App& root, CommandLine& line) {
  CLI::App* organizations = root.add_subcommand("organizations", "Organizations and their members");
  organizations->require_subcommand(1);
  AddCommand(*organizations, line, "list", "Those you may see",
             [&line] { return ListOrganizations(line); });
  auto name = std::make_shared<std::string>();
  AddCommand(*organizations, line, "create", "Create an organization",
             [&line, name] { return CreateOrganization(line, *name); })
      ->add_option("name", *name, "1-32 letters, digits and single hyphens")
      ->required();
  AddCommand(*organizations, line, "members", "Members and their roles", [&line, name] {
    return ListMembers(line, *name);
  })->add_option("organization", *name, "Id or name (the default one)");
  auto user = std::make_shared<std::string>();
  auto roles = std::make_shared<std::vector<std::string>>();
  CLI::App* add =
      AddCommand(*organizations, line, "add-member", "Add a user",
                 [&line, name, user, roles] { return AddMember(line, *name, *user, *roles); });
  add->add_option("organization", *name, "Id or name")->required();
  add->add_option("user", *user, "Id or username")->required();
  add->add_option("--role", *roles, "admin or template-admin");
}

}  // namespace coder::cli
