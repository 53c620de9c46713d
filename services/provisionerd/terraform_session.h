#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/process/child_process.h"
#include "services/provisionerd/engine.h"
#include "services/provisionerd/init_cache.h"
#include "services/provisionerd/terraform_env.h"
#include "services/provisionerd/terraform_log.h"

namespace coder::provisionerd {

// How engines are run; the same for every job of a process.
struct TerraformConfig {
  // Absolute path of OpenTofu or Terraform, 1.6 or newer.
  std::string engine_path;
  // Absolute path of a CLI configuration (for example a provider mirror); empty for none.
  std::string cli_config_path;
  // Directories searched for programs that templates run.
  std::string program_path = "/usr/local/bin:/usr/bin:/bin";
  // From the interrupt to the kill.
  absl::Duration grace = absl::Minutes(3);
  // Longest run of one engine command.
  absl::Duration command_timeout = absl::Hours(2);
};

// The reason of a failure for want of a value for a template's variable.
inline constexpr char kRequiredVariables[] = "REQUIRED_TEMPLATE_VARIABLES";

// The engine's commands of one job, in one working directory. Collects log lines and timings. One
// thread at a time; the references must outlive it.
class TerraformSession {
 public:
  // What a command is called in the log ("Planning Infrastructure") and in timings ("plan").
  struct Stage {
    std::string title;
    std::string name;
  };

  TerraformSession(const TerraformConfig& config, const EngineContext& context, clock::Clock& clock,
                   std::string template_dir, LogLevel log_level);

  // Takes what `init` made of the version from the cache, or the turn to make it; errors as
  // InitCache::Take.
  absl::StatusOr<InitCache::Claim> ClaimInit(InitCache& cache, const std::string& version) const {
    return cache.Take(version, Initialised(), context_.interrupt, context_.kill);
  }

  // Where `init` puts what it makes.
  InitialisedFiles Initialised() const;

  // Creates the session's directories and removes state files that came with the template.
  // INVALID_ARGUMENT if the work directory's path is longer than 60 bytes, INTERNAL if the file
  // system refuses.
  absl::Status Prepare();

  // Sets what the following commands are about.
  void SetInputs(const TerraformInputs& inputs);

  // Runs a command and logs what it says. FAILED_PRECONDITION with the engine's first error if it
  // ends with another status than 0, or with the reason kRequiredVariables; CANCELLED;
  // DEADLINE_EXCEEDED; or RunChild's errors.
  absl::Status Run(const Stage& stage, const std::vector<std::string>& args);

  // Runs a command and returns what it prints, at most 64 MiB (else RESOURCE_EXHAUSTED); errors as
  // in Run.
  absl::StatusOr<std::string> Capture(const Stage& stage, const std::vector<std::string>& args);

  // Writes one line of our own into the job's log.
  void Say(const Stage& stage, LogLevel level, const std::string& text);

  // Writes `state` where the engine expects it. INTERNAL if the file system refuses.
  absl::Status WriteState(const std::string& state);

  // The state as the engine left it; nothing if there is none or it is not whole.
  std::optional<std::string> ReadState() const;

  std::vector<StageTiming> TakeTimings() { return std::move(timings_); }

 private:
  process::ChildSpec SpecFor(const std::vector<std::string>& args) const;
  void Emit(const std::string& stage, LogLevel level, LogSource source, const std::string& text);
  absl::Status OutcomeOf(const Stage& stage, const absl::StatusOr<process::ChildExit>& exit,
                         const std::string& first_error) const;
  absl::Duration Elapsed() const { return clock_.MonotonicNow() - began_; }
  absl::Status Timed(const Stage& stage, absl::Duration start, absl::Status outcome);

  const TerraformConfig& config_;
  const EngineContext& context_;
  clock::Clock& clock_;
  const std::string template_dir_;
  const std::string data_dir_;
  const LogLevel log_level_;
  const absl::Duration began_;
  TerraformPlaces places_;
  std::vector<std::string> environment_;
  std::vector<std::string> secrets_;
  std::vector<StageTiming> timings_;
};

}  // namespace coder::provisionerd
