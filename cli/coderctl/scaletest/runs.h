#pragma once

#include "absl/status/status.h"
#include "cli/coderctl/scaletest/plan.h"
#include "cli/coderctl/session.h"

namespace coder::cli::scaletest {

/// Creates and stops workspaces, sets all their schedules to one minute, and measures how they
/// start. Writes the report and cleans up. INVALID_ARGUMENT for options that cannot be; errors of
/// Rig::Open; ABORTED when a workspace failed or something is left; CANCELLED after an interrupt,
/// also then with report and cleanup.
absl::Status RunAutostart(const SessionOptions& session, const AutostartOptions& options);

struct BuildsOptions {
  LoadOptions load;
  /// How long builds are asked for.
  absl::Duration duration = absl::Minutes(1);
  /// Builds a second in all; 0: as many as go, `concurrency` at once.
  double rate = 0;
};

/// Stops and starts workspaces in turn, again and again. Otherwise as RunAutostart.
absl::Status RunBuilds(const SessionOptions& session, const BuildsOptions& options);

struct WatchersOptions {
  BuildsOptions builds;
  int watchers = 15;
};

/// Watches all builds many times over while builds run, and measures what is lost, doubled and how
/// late it comes. Otherwise as RunAutostart.
absl::Status RunWatchers(const SessionOptions& session, const WatchersOptions& options);

/// Deletes what earlier tests left behind. Only `concurrency` and the timeouts count.
absl::Status RunCleanup(const SessionOptions& session, const LoadOptions& options);

}  // namespace coder::cli::scaletest
