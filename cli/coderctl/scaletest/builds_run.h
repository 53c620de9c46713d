#pragma once

#include <mutex>
#include <vector>

#include "cli/coderctl/scaletest/fleet.h"
#include "cli/coderctl/scaletest/report.h"
#include "cli/coderctl/scaletest/runs.h"

namespace coder::cli::scaletest {

/// Running workspaces that are stopped and started in turn.
class BuildLoad {
 public:
  /// `rig` must outlive it.
  BuildLoad(Rig& rig, const BuildsOptions& options)
      : rig_(rig), options_(options), fleet_(NewFleet(rig)) {}

  /// Makes the workspaces run. False when not one of them does.
  bool Prepare();
  /// Builds for as long as the options say, or until a stop.
  void Run();

  /// One for each build of `Run`, and one for each workspace that could not be made to run.
  const std::vector<Timeline>& timelines() const { return timelines_; }
  int failed() const;
  /// When `Run` began.
  absl::Time origin() const { return origin_; }

 private:
  void Work(int worker, int workers);
  /// Whether the pace allows one more build.
  bool NextTurn();
  void BuildOnce(const Member& member, int round);

  Rig& rig_;
  const BuildsOptions& options_;
  std::vector<Member> fleet_;
  std::vector<const Member*> running_;
  absl::Time origin_ = absl::InfinitePast();
  absl::Duration begun_;
  std::mutex mutex_;
  int64_t turns_ = 0;
  std::vector<Timeline> timelines_;
};

/// Adds the measures and facts of the load to a report.
void Describe(const BuildLoad& load, const Rig& rig, Report& report);

}  // namespace coder::cli::scaletest
