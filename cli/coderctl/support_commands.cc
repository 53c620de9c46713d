#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/coderctl/command_line.h"
#include "cli/coderctl/support_bundle.h"
#include "libs/clock/system_clock.h"
#include "libs/status/status_macros.h"

namespace coder::cli {
namespace {

struct BundleOptions {
  BundlePlan plan;
  std::string output;
};

/// Readable by its owner only; a file that exists is left alone.
absl::Status WriteNewFile(const std::string& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) {
    return absl::AlreadyExistsError(
        absl::StrCat("write bundle ", path, ": it exists; name another with --output"));
  }
  size_t written = 0;
  ssize_t step = file < 0 ? -1 : 1;
  while (step > 0 && written < content.size()) {
    step = ::write(file, content.data() + written, content.size() - written);
    if (step > 0) written += static_cast<size_t>(step);
  }
  const int error = errno;
  if (file >= 0) ::close(file);
  if (written == content.size() && file >= 0) return absl::OkStatus();
  if (file >= 0) ::unlink(path.c_str());
  return absl::InternalError(absl::StrCat("write bundle ", path, ": ", std::strerror(error),
                                          "; name another place with --output"));
}

absl::Status MakeBundle(const CommandLine& line, BundleOptions options) {
  const absl::Time now = clock::SystemClock().Now();
  if (options.output.empty()) {
    options.output =
        absl::FormatTime("coder-support-%Y%m%dT%H%M%SZ.tar.gz", now, absl::UTCTimeZone());
  }
  std::cerr << BundleContents(options.plan) << std::flush;
  ASSIGN_OR_RETURN(Session session, line.Connect());
  const SupportBundle bundle(session, options.plan, now);
  ASSIGN_OR_RETURN(const std::string packed, archive::PackFiles(bundle.files()));
  RETURN_IF_ERROR(WriteNewFile(options.output, packed));
  for (const auto& [name, why] : bundle.missing()) {
    std::cerr << "not read: " << Printable(name) << ": " << Printable(why) << "\n";
  }
  if (line.output == OutputFormat::kJson) {
    std::cout << bundle.files().front().content << std::flush;
  } else {
    std::cout << options.output << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace

void AddSupportCommands(CLI::App& root, CommandLine& line) {
  CLI::App* support = root.add_subcommand("support", "For whoever helps with trouble");
  support->require_subcommand(1);
  auto options = std::make_shared<BundleOptions>();
  CLI::App* bundle =
      AddCommand(*support, line, "bundle", "Collect what the deployment tells of itself in a file",
                 [&line, options] { return MakeBundle(line, *options); });
  bundle->footer(
      "\nSays what it will hold, asks for it, and writes one file, readable by you only. What\n"
      "cannot be read is no error: manifest.json names it with the cause. Passwords, tokens and\n"
      "keys are taken out. With -o json the manifest is printed instead of the file's name.\n"
      "Examples:\n"
      "  coderctl support bundle\n"
      "  coderctl support bundle --output trouble.tar.gz --admin 10.0.0.5:9101 --admin "
      "10.0.0.6:9101\n");
  bundle->add_option("--output", options->output,
                     "The file to make (coder-support-TIME.tar.gz here)");
  bundle->add_option("--admin", options->plan.admin,
                     "Admin port of a service, as host:port; once for each");
  bundle
      ->add_option("--failed", options->plan.failed_jobs,
                   "Failed jobs of each organization, 0 for none (10)")
      ->check(CLI::Range(0, 500));
  bundle
      ->add_option("--log-lines", options->plan.log_lines,
                   "Lines from the end of each of their logs (200)")
      ->check(CLI::Range(1, 100000));
}

}  // namespace coder::cli
