#include "cli/coderctl/scaletest/plan.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

constexpr char kPrefix[] = "scaletest-";

absl::Status CheckOutput(const std::string& output) {
  if (output == "text") return absl::OkStatus();
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(output, absl::MaxSplits(':', 1));
  if ((parts.first == "json" || parts.first == "html") && !parts.second.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("write the result to '", output, "': use text, json:FILE or html:FILE"));
}

bool IsNumber(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

}  // namespace

absl::Status Check(const LoadOptions& options) {
  if (options.workspaces < 1) {
    return absl::InvalidArgumentError(absl::StrCat("make ", options.workspaces,
                                                   " workspaces: there must be at least one; "
                                                   "pass --workspace-count"));
  }
  for (const std::string& output : options.outputs) RETURN_IF_ERROR(CheckOutput(output));
  return absl::OkStatus();
}

absl::Status Check(const AutostartOptions& options) {
  RETURN_IF_ERROR(Check(options.load));
  if (options.build_timeout <= options.load.job_timeout) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wait ", absl::FormatDuration(options.build_timeout),
        " for autostart builds: not longer than one build may take (",
        absl::FormatDuration(options.load.job_timeout), "); raise --autostart-build-timeout"));
  }
  return absl::OkStatus();
}

std::string NameOf(const std::string& run, int index) { return absl::StrCat(PrefixOf(run), index); }

std::string PrefixOf(const std::string& run) {
  return run.empty() ? std::string(kPrefix) : absl::StrCat(kPrefix, run, "-");
}

std::string RunOf(absl::string_view name) {
  if (!absl::StartsWith(name, kPrefix)) return "";
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  if (parts.size() != 3 || !IsNumber(parts[2])) return "";
  return std::string(parts[1]);
}

absl::Time AutostartTime(absl::Time now, absl::Duration delay) {
  return absl::UnixEpoch() + absl::Ceil(now + delay - absl::UnixEpoch(), absl::Minutes(1));
}

std::string DailyAt(absl::Time time) {
  const absl::CivilMinute minute = absl::ToCivilMinute(time, absl::UTCTimeZone());
  return absl::StrCat("CRON_TZ=UTC ", minute.minute(), " ", minute.hour(), " * * *");
}

}  // namespace coder::cli::scaletest
