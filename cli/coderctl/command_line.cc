#include "cli/coderctl/command_line.h"

#include <algorithm>
#include <iostream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/server/version.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  coderctl login http://127.0.0.1:7080
  coderctl templates push examples/templates/hello
  coderctl create dev --template hello --parameter region=eu
  coderctl logs dev -f
  coderctl watch -o json

Where to connect: --url, CODER_URL, or the last log-in. As whom: --token, CODER_SESSION_TOKEN, or the
last log-in.

Exit codes: 0 done; 1 failed; 2 the command line or a value is wrong; 3 not found; 4 not logged in or
not allowed; 5 refused in the current state; 6 not reachable or too slow; 130 interrupted.)";

void AddGlobalOptions(CLI::App& root, CommandLine& line) {
  root.add_option("--url", line.session.url, "The deployment, as host:port, http:// or https://");
  root.add_option("--token", line.session.token,
                  "Session or API token (other users of this machine can see it; prefer "
                  "CODER_SESSION_TOKEN)");
  root.add_option("--config-dir", line.session.config_dir, "Folder of the session file");
  root.add_option_function<double>(
          "--timeout", [&line](double seconds) { line.session.timeout = absl::Seconds(seconds); },
          "Seconds a call may take (30)")
      ->check(CLI::Range(0.1, 3600.0));
  root.add_option_function<std::string>(
          "-o,--output",
          [&line](const std::string& format) {
            line.output = format == "json" ? OutputFormat::kJson : OutputFormat::kTable;
          },
          "table or json (table)")
      ->check(CLI::IsMember({"table", "json"}));
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, replaced}));
    }
  }
  return row.back();
}

/// The subcommand of `command` that `word` is most likely a misspelling of; empty when none is
/// near.
std::string NearestCommand(const CLI::App& command, const std::string& word) {
  std::string nearest;
  size_t best = 3;
  for (const CLI::App* child : command.get_subcommands({})) {
    const size_t distance = EditDistance(child->get_name(), word);
    if (distance >= best) continue;
    best = distance;
    nearest = child->get_name();
  }
  return nearest;
}

/// Where the command line stopped to make sense: the last command it named.
const CLI::App& Deepest(const CLI::App& root) {
  const CLI::App* command = &root;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return *command;
}

std::string Path(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name()
                           : absl::StrCat(Path(*parent), " ", command.get_name());
}

/// CLI11 tells a misspelt command as a missing one; this says which word was not understood.
int RefuseCommandLine(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& command = Deepest(root);
  const bool wants_command = !command.get_subcommands({}).empty();
  const std::vector<std::string> words = root.remaining(true);
  if (!wants_command || words.empty() || words.front().starts_with('-')) {
    return root.exit(error) == 0 ? 0 : 2;
  }
  const std::string path = Path(command);
  const std::string nearest = NearestCommand(command, words.front());
  std::cerr << "error: " << path << " has no command \"" << words.front() << "\"\nfix:   "
            << (nearest.empty() ? absl::StrCat("see ", path, " --help")
                                : absl::StrCat("did you mean: ", path, " ", nearest))
            << "\n";
  return 2;
}

}  // namespace

absl::StatusOr<Session> CommandLine::Connect() const {
  ASSIGN_OR_RETURN(Credentials credentials, ResolveCredentials(session));
  return Session::Open(std::move(credentials), session.timeout);
}

CLI::App* AddCommand(CLI::App& parent, CommandLine& line, const std::string& name,
                     const std::string& description, std::function<absl::Status()> run) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->callback([&line, run = std::move(run)] { line.run = run; });
  return command;
}

int RunCoderctl(int argc, char** argv) {
  CommandLine line;
  CLI::App root("coderctl: workspaces, templates and the build stream of a deployment", "coderctl");
  root.footer(kFooter);
  root.require_subcommand(1);
  root.fallthrough();
  AddGlobalOptions(root, line);
  AddAccountCommands(root, line);
  AddUserCommands(root, line);
  AddOrganizationCommands(root, line);
  AddTemplateCommands(root, line);
  AddWorkspaceCommands(root, line);
  AddBuildCommands(root, line);
  AddScheduleCommands(root, line);
  AddBlackoutCommands(root, line);
  AddWatchCommand(root, line);
  AddProvisionerCommands(root, line);
  AddTopCommand(root, line);
  AddSupportCommands(root, line);
  AddAuditCommands(root, line);
  AddScaletestCommands(root, line);
  AddCompletionCommand(root, line);
  root.set_version_flag("--version", server::VersionText());
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return RefuseCommandLine(root, error);
  }
  const absl::Status status = line.run();
  if (!status.ok()) std::cerr << FormatError(status);
  return ExitCode(status);
}

}  // namespace coder::cli
