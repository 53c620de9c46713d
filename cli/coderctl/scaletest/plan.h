#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace coder::cli::scaletest {

/// What every load test is told.
struct LoadOptions {
  int workspaces = 0;
  /// A template's id or name, and its organization ("" is the default one).
  std::string template_name;
  std::string organization;
  /// `name=value` of the template's parameters.
  std::vector<std::string> parameters;
  /// Workspaces that are prepared or deleted at once.
  int concurrency = 32;
  /// How long one build may take from its request to its end, waiting included.
  absl::Duration job_timeout = absl::Minutes(5);
  /// How long everything may take to go away again.
  absl::Duration cleanup_timeout = absl::Minutes(30);
  bool no_cleanup = false;
  /// `text`, `json:FILE` or `html:FILE`; FILE `-` is standard output.
  std::vector<std::string> outputs;
};

struct AutostartOptions {
  LoadOptions load;
  /// From the barrier to the start, rounded up to a whole minute.
  absl::Duration delay = absl::Minutes(2);
  /// How long after its time an autostart may end.
  absl::Duration build_timeout = absl::Minutes(15);
};

/// INVALID_ARGUMENT naming the first option that cannot be, and what can.
absl::Status Check(const LoadOptions& options);
absl::Status Check(const AutostartOptions& options);

/// A name as users and workspaces of load tests have: `scaletest-<run>-<index>`.
std::string NameOf(const std::string& run, int index);

/// What the names of one run begin with; of every run, when `run` is empty.
std::string PrefixOf(const std::string& run);

/// The run a name belongs to; empty for a name of something else.
std::string RunOf(absl::string_view name);

/// `delay` after `now`, or up to a minute later: schedules know whole minutes only.
absl::Time AutostartTime(absl::Time now, absl::Duration delay);

/// The schedule that fires every day at the minute of `time`.
std::string DailyAt(absl::Time time);

}  // namespace coder::cli::scaletest
