#include "services/provisionerd/terraform_session.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/error_reason.h"
#include "services/provisionerd/log_text.h"
#include "services/provisionerd/private_files.h"

namespace coder::provisionerd {
namespace {

constexpr char kStateFile[] = "/terraform.tfstate";
// Where the engine puts a state that it could not write to its place.
constexpr char kRescuedStateFile[] = "/errored.tfstate";
constexpr char kLockFile[] = "/.terraform.lock.hcl";
constexpr std::size_t kMaxStateBytes = 64 << 20;
constexpr std::size_t kMaxCaptureBytes = 64 << 20;
// One JSON line carries a whole diagnostic with its snippet, or a command's output line.
constexpr std::size_t kMaxJsonLineBytes = 256 << 10;
// A provider listens on a UNIX socket about 40 bytes below TMPDIR; such paths end at 107 bytes.
constexpr std::size_t kMaxTmpPathBytes = 64;

// The engine notes where modules are in the words it was given: what one job's init made is of use
// in another's directory only if those are the same for both.
std::string RelativePath(const std::string& path, const std::string& base) {
  return std::filesystem::path(path).lexically_relative(base).string();
}

absl::Status WantsVariables(const TerraformSession::Stage& stage,
                            const std::vector<std::string>& names) {
  std::string flags;
  for (const std::string& name : names) absl::StrAppend(&flags, " --variable ", name, "=VALUE");
  return status::WithReason(
      absl::FailedPreconditionError(
          absl::StrCat(stage.name, ": the template's variables without a default have no value: ",
                       absl::StrJoin(names, ", "), "; push the template again with", flags)),
      kRequiredVariables);
}

}  // namespace

TerraformSession::TerraformSession(const TerraformConfig& config, const EngineContext& context,
                                   clock::Clock& clock, std::string template_dir,
                                   LogLevel log_level)
    : config_(config),
      context_(context),
      clock_(clock),
      template_dir_(std::move(template_dir)),
      data_dir_(absl::StrCat(context.work_dir, "/data")),
      log_level_(log_level),
      began_(clock.MonotonicNow()),
      places_{.path = config.program_path,
              .cli_config = config.cli_config_path,
              .home = absl::StrCat(context.work_dir, "/home"),
              .tmp = absl::StrCat(context.work_dir, "/tmp"),
              .data_dir = RelativePath(data_dir_, template_dir_)} {}

InitialisedFiles TerraformSession::Initialised() const {
  return {.data_dir = data_dir_, .lock_file = absl::StrCat(template_dir_, kLockFile)};
}

absl::Status TerraformSession::Prepare() {
  if (places_.tmp.size() > kMaxTmpPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "use work directory ", context_.work_dir, ": its path is too long for the sockets of ",
        "providers; configure one of at most ", kMaxTmpPathBytes - 4, " bytes, such as /tmp/job"));
  }
  for (const std::string& dir : {places_.home, places_.tmp, data_dir_}) {
    if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::InternalError(absl::StrCat("create ", dir, ": ", std::strerror(errno),
                                              "; check the work directory's space and rights"));
    }
  }
  for (const char* file : {kStateFile, kRescuedStateFile}) {
    ::unlink(absl::StrCat(template_dir_, file).c_str());
  }
  return absl::OkStatus();
}

void TerraformSession::SetInputs(const TerraformInputs& inputs) {
  environment_ = TerraformEnvironment(places_, inputs);
  secrets_ = SecretsOf(inputs);
}

process::ChildSpec TerraformSession::SpecFor(const std::vector<std::string>& args) const {
  process::ChildSpec spec;
  spec.program = config_.engine_path;
  spec.args = args;
  spec.env = environment_;
  spec.cwd = template_dir_;
  spec.grace = config_.grace;
  spec.timeout = config_.command_timeout;
  return spec;
}

void TerraformSession::Emit(const std::string& stage, LogLevel level, LogSource source,
                            const std::string& text) {
  if (level < log_level_ || !context_.log) return;
  ForEachLogLine(Redact(text, secrets_), [&](std::string line) {
    context_.log({stage, level, source, std::move(line)});
  });
}

void TerraformSession::Say(const Stage& stage, LogLevel level, const std::string& text) {
  Emit(stage.title, level, LogSource::kProvisionerDaemon, text);
}

absl::Status TerraformSession::OutcomeOf(const Stage& stage,
                                         const absl::StatusOr<process::ChildExit>& exit,
                                         const std::string& first_error) const {
  if (!exit.ok()) return exit.status();
  if (exit->exit_code == 0) return absl::OkStatus();
  const std::string how = process::DescribeExit(*exit);
  if (exit->timed_out) {
    return absl::DeadlineExceededError(absl::StrCat(stage.name, ": the engine ", how, " of ",
                                                    absl::FormatDuration(config_.command_timeout)));
  }
  if (exit->interrupted || exit->killed) {
    return absl::CancelledError(absl::StrCat(stage.name, ": canceled; the engine ", how));
  }
  if (first_error.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(stage.name, ": the engine ", how, "; see the job's log"));
  }
  std::string sentence;
  ForEachLogLine(Redact(first_error, secrets_), [&sentence](std::string line) {
    absl::StrAppend(&sentence, sentence.empty() ? "" : " ", line);
  });
  return absl::FailedPreconditionError(absl::StrCat(stage.name, ": ", sentence));
}

absl::Status TerraformSession::Timed(const Stage& stage, absl::Duration start,
                                     absl::Status outcome) {
  timings_.push_back(
      {.stage = stage.name,
       .resource = "",
       .action = stage.name,
       .source = "terraform",
       .start = start,
       .end = Elapsed(),
       .state = outcome.ok() ? StageTiming::State::kCompleted : StageTiming::State::kFailed});
  return outcome;
}

absl::Status TerraformSession::Run(const Stage& stage, const std::vector<std::string>& args) {
  const absl::Duration start = Elapsed();
  TerraformLog log(
      stage.name,
      [&](LogLevel level, const std::string& text) {
        Emit(stage.title, level, LogSource::kProvisioner, text);
      },
      [this] { return Elapsed(); });
  process::ChildSpec spec = SpecFor(args);
  spec.max_stdout_line_bytes = kMaxJsonLineBytes;
  spec.on_stdout_line = [&log](std::string_view line) { log.Line(line); };
  spec.on_stderr_line = [&log](std::string_view line) { log.PlainLine(line); };
  const auto exit = process::RunChild(spec, {context_.interrupt, context_.kill, context_.pause});
  for (StageTiming& timing : log.TakeTimings()) timings_.push_back(std::move(timing));
  absl::Status outcome = OutcomeOf(stage, exit, log.FirstError());
  if (absl::IsFailedPrecondition(outcome) && !log.MissingVariables().empty()) {
    outcome = WantsVariables(stage, log.MissingVariables());
  }
  return Timed(stage, start, std::move(outcome));
}

absl::StatusOr<std::string> TerraformSession::Capture(const Stage& stage,
                                                      const std::vector<std::string>& args) {
  std::string captured;
  TerraformLog log(
      stage.name,
      [&](LogLevel level, const std::string& text) {
        Emit(stage.title, level, LogSource::kProvisioner, text);
      },
      [this] { return Elapsed(); });
  process::ChildSpec spec = SpecFor(args);
  spec.max_stdout_line_bytes = kMaxCaptureBytes;
  spec.max_output_bytes = kMaxCaptureBytes;
  spec.on_stdout_line = [&captured](std::string_view line) {
    captured.append(line);
    captured += '\n';
  };
  spec.on_stderr_line = [&log](std::string_view line) { log.PlainLine(line); };
  const auto exit = process::RunChild(spec, {context_.interrupt, context_.kill, context_.pause});
  if (absl::Status ran = OutcomeOf(stage, exit, log.FirstError()); !ran.ok()) return ran;
  if (exit->discarded_bytes > 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat(stage.name, ": the engine printed ", exit->output_bytes, " bytes, more than ",
                     kMaxCaptureBytes, "; make the template or its state smaller"));
  }
  return captured;
}

absl::Status TerraformSession::WriteState(const std::string& state) {
  return WritePrivateFile(absl::StrCat(template_dir_, kStateFile), state);
}

std::optional<std::string> TerraformSession::ReadState() const {
  for (const char* file : {kRescuedStateFile, kStateFile}) {
    std::optional<std::string> state =
        ReadRegularFile(absl::StrCat(template_dir_, file), kMaxStateBytes);
    // A kill may have cut the file.
    if (state && nlohmann::json::accept(*state)) return state;
  }
  return std::nullopt;
}

}  // namespace coder::provisionerd
