#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/coderctl/scaletest/statistics.h"

namespace coder::cli::scaletest {

/// One latency, by a name such as `trigger_to_completed`.
struct Measure {
  std::string name;
  /// What it is, for a person.
  std::string meaning;
  std::vector<absl::Duration> values;
};

/// The result of a load test, however it is written.
struct Report {
  /// "autostart", "builds" or "watchers".
  std::string kind;
  std::string run;
  absl::Time begun, ended;
  /// What was asked for and counted, as (name, value) in the order shown.
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<Measure> measures;
  /// Where the ramp begins.
  absl::Time origin = absl::InfinitePast();
  /// May be empty.
  std::vector<Timeline> timelines;
  /// Further errors by kind, those of the timelines not included.
  std::map<std::string, int> errors;
};

/// The report's errors by kind, those of the timelines included.
std::map<std::string, int> ErrorsOf(const Report& report);

std::string TextOf(const Report& report);
/// Keys such as `trigger_to_completed_p95_ms`, and every timeline.
std::string JsonOf(const Report& report);
/// One self-contained page.
std::string HtmlOf(const Report& report);

/// Writes the report to each of `outputs` (see LoadOptions), or as text when there is none.
/// INTERNAL with the path when a file cannot be written.
absl::Status Write(const Report& report, const std::vector<std::string>& outputs);

}  // namespace coder::cli::scaletest
