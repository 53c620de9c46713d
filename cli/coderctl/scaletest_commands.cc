#include <memory>
#include <string>

#include "cli/coderctl/command_line.h"
#include "cli/coderctl/duration_text.h"
#include "cli/coderctl/scaletest/runs.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

using scaletest::AutostartOptions;
using scaletest::BuildsOptions;
using scaletest::LoadOptions;
using scaletest::WatchersOptions;

void AddDuration(CLI::App& command, const std::string& flag, absl::Duration& value,
                 const std::string& description) {
  command.add_option_function<std::string>(
      flag,
      [flag, &value](const std::string& text) {
        const absl::StatusOr<absl::Duration> parsed = ParseDurationText(text);
        if (!parsed.ok()) throw CLI::ValidationError(flag, std::string(parsed.status().message()));
        value = *parsed;
      },
      description + " (" + absl::FormatDuration(value) + ")");
}

void AddCleanup(CLI::App& command, LoadOptions& load) {
  command.add_option("--concurrency", load.concurrency, "Workspaces handled at once (32)")
      ->check(CLI::Range(1, 512));
  AddDuration(command, "--workspace-job-timeout", load.job_timeout,
              "How long one build may take, waiting included");
  AddDuration(command, "--cleanup-timeout", load.cleanup_timeout,
              "How long a delete may be put off by builds under way");
}

void AddLoad(CLI::App& command, LoadOptions& load) {
  command.add_option("-c,--workspace-count", load.workspaces, "How many workspaces")
      ->required()
      ->check(CLI::Range(1, 100'000));
  command.add_option("-t,--template", load.template_name, "Id or name")->required();
  command.add_option("--org", load.organization, "Organization of the template (the default one)");
  command.add_option("-p,--parameter", load.parameters, "name=value, any number");
  AddCleanup(command, load);
  command.add_flag("--no-cleanup", load.no_cleanup, "Leave users and workspaces behind");
  command.add_option("-o,--output", load.outputs,
                     "text, json:FILE or html:FILE, any number; FILE - is standard output (text)");
}

void AddBuilds(CLI::App& command, BuildsOptions& options) {
  AddLoad(command, options.load);
  AddDuration(command, "--duration", options.duration, "How long builds are asked for");
  command.add_option("--rate", options.rate, "Builds a second in all (as many as go)")
      ->check(CLI::NonNegativeNumber);
}

constexpr char kFooter[] = R"(
Makes users and workspaces named scaletest-RUN-N, loads the deployment with them, writes a report and
deletes them again, also after Ctrl-C; a second Ctrl-C leaves the rest to `scaletest cleanup`. Needs
an owner's session. Everything is observed through one watch of all builds, which is resumed when it
is dropped. With a template of the echo engine it measures the control plane alone.

Examples:
  coderctl scaletest autostart -c 1000 -t echo -o text -o html:report.html
  coderctl scaletest builds -c 50 -t echo --duration 2m --rate 20
  coderctl scaletest watchers -c 20 -t echo --watchers 15
  coderctl scaletest cleanup)";

}  // namespace

void AddScaletestCommands(CLI::App& root, CommandLine& line) {
  CLI::App* scaletest = root.add_subcommand("scaletest", "Load a deployment and measure it");
  scaletest->require_subcommand(1);
  scaletest->footer(kFooter);

  auto autostart = std::make_shared<AutostartOptions>();
  CLI::App* command = AddCommand(
      *scaletest, line, "autostart", "Workspaces that all start by themselves in one minute",
      [&line, autostart] { return scaletest::RunAutostart(line.session, *autostart); });
  AddLoad(*command, autostart->load);
  AddDuration(*command, "--autostart-delay", autostart->delay,
              "From when all are stopped to the start, rounded up to a whole minute");
  AddDuration(*command, "--autostart-build-timeout", autostart->build_timeout,
              "How long after its time an autostart may end");

  auto builds = std::make_shared<BuildsOptions>();
  AddBuilds(*AddCommand(*scaletest, line, "builds", "Workspaces that stop and start in turn",
                        [&line, builds] { return scaletest::RunBuilds(line.session, *builds); }),
            *builds);

  auto watchers = std::make_shared<WatchersOptions>();
  command =
      AddCommand(*scaletest, line, "watchers", "Many watches of all builds while builds run",
                 [&line, watchers] { return scaletest::RunWatchers(line.session, *watchers); });
  AddBuilds(*command, watchers->builds);
  command
      ->add_option(
          "--watchers", watchers->watchers,
          "Watches at once (15); coderd-api's --max-watches-per-caller must allow one more")
      ->check(CLI::Range(1, 100'000));

  auto load = std::make_shared<LoadOptions>();
  AddCleanup(*AddCommand(*scaletest, line, "cleanup", "Delete what earlier tests left behind",
                         [&line, load] { return scaletest::RunCleanup(line.session, *load); }),
             *load);
}

}  // namespace coder::cli
