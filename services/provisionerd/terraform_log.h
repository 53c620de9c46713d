#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/provisionerd/engine.h"

namespace coder::provisionerd {

// Reads what one engine command says: JSON lines ("-json") or plain text, into log lines for
// people, the error sentence and the timings of resources. One thread at a time.
class TerraformLog {
 public:
  // Receives one piece of text, possibly of several lines.
  using Sink = std::function<void(LogLevel level, const std::string& text)>;
  // Time since the start of the job.
  using Elapsed = std::function<absl::Duration()>;

  // `stage` is written into the timings.
  TerraformLog(std::string stage, Sink sink, Elapsed elapsed)
      : stage_(std::move(stage)), sink_(std::move(sink)), elapsed_(std::move(elapsed)) {}

  // Takes one line of the engine's output; one that is not JSON is logged as it is.
  void Line(std::string_view line);

  // Takes one line of plain output (init, or what a crash prints).
  void PlainLine(std::string_view line);

  // The first error the engine reported, in one line: "main.tf:3: Unsupported argument: An
  // argument named…"; empty if there was none.
  std::string FirstError() const;

  // The template's variables that have neither a value nor a default, as the engine complained.
  const std::vector<std::string>& MissingVariables() const { return missing_variables_; }

  // Resources that were worked on, in the order in which they ended.
  std::vector<StageTiming> TakeTimings() { return std::move(timings_); }

 private:
  struct Problem {
    std::string place, summary, detail;
  };
  void Hook(const std::string& type, const nlohmann::json& hook);
  void RememberError(Problem problem);

  std::string stage_;
  Sink sink_;
  Elapsed elapsed_;
  std::optional<Problem> first_error_;
  std::vector<std::string> missing_variables_;
  // Reading plain text: the lines after "Error:" belong to the first error.
  bool in_plain_error_ = false;
  std::map<std::string, StageTiming> running_;
  std::vector<StageTiming> timings_;
};

}  // namespace coder::provisionerd
