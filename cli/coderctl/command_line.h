#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/coderctl/output.h"
#include "cli/coderctl/session.h"

namespace coder::cli {

/// What the whole command line has in common, and the command it chose.
struct CommandLine {
  SessionOptions session;
  OutputFormat output = OutputFormat::kTable;
  /// Set by the chosen subcommand while parsing; run afterwards.
  std::function<absl::Status()> run;

  /// Connects as the options say. Errors of `ResolveCredentials` and `Session::Open`.
  absl::StatusOr<Session> Connect() const;
};

/// Adds a subcommand whose `run` becomes the command line's when it is chosen.
CLI::App* AddCommand(CLI::App& parent, CommandLine& line, const std::string& name,
                     const std::string& description, std::function<absl::Status()> run);

/// One function a noun; each adds its subcommands to `root`. `line` must outlive the parse and run.
void AddAccountCommands(CLI::App& root, CommandLine& line);
void AddUserCommands(CLI::App& root, CommandLine& line);
void AddOrganizationCommands(CLI::App& root, CommandLine& line);
void AddTemplateCommands(CLI::App& root, CommandLine& line);
void AddWorkspaceCommands(CLI::App& root, CommandLine& line);
void AddBuildCommands(CLI::App& root, CommandLine& line);
void AddScheduleCommands(CLI::App& root, CommandLine& line);
void AddBlackoutCommands(CLI::App& root, CommandLine& line);
void AddWatchCommand(CLI::App& root, CommandLine& line);
void AddProvisionerCommands(CLI::App& root, CommandLine& line);
void AddTopCommand(CLI::App& root, CommandLine& line);
void AddSupportCommands(CLI::App& root, CommandLine& line);
void AddAuditCommands(CLI::App& root, CommandLine& line);
void AddScaletestCommands(CLI::App& root, CommandLine& line);
void AddCompletionCommand(CLI::App& root, CommandLine& line);

/// Builds the whole tree, parses, runs and reports. Returns the exit code of `ExitCode`, or 2 for a
/// command line that cannot be understood.
int RunCoderctl(int argc, char** argv);

}  // namespace coder::cli
