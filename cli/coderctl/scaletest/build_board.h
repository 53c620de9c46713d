#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"
#include "coder/events/v1/build_event.pb.h"

namespace coder::cli::scaletest {

/// What the stream told of one build. Times are the database's but `seen`; those that have not
/// come are InfinitePast.
struct ObservedBuild {
  int32_t number = 0;
  events::v1::BuildTransition transition = events::v1::BUILD_TRANSITION_UNSPECIFIED;
  events::v1::BuildReason reason = events::v1::BUILD_REASON_UNSPECIFIED;
  events::v1::JobStatus status = events::v1::JOB_STATUS_UNSPECIFIED;
  absl::Time created = absl::InfinitePast();
  absl::Time acquired = absl::InfinitePast();
  absl::Time completed = absl::InfinitePast();
  /// When the latest event came in, by this machine's clock.
  absl::Time seen = absl::InfinitePast();
  std::string error;
};

/// Whether a job of that status has ended.
bool IsFinal(events::v1::JobStatus status);

/// Routes the events of one stream to their workspaces and builds. Not for several threads.
class BuildBoard {
 public:
  /// Takes one event in. Events of workspaces that no load test made are left out.
  void Apply(const events::v1::BuildEvent& event, absl::Time seen);

  /// What is known of a build; nullptr before its first event.
  const ObservedBuild* Find(const std::string& workspace_id, int32_t number) const;

  /// The workspace's first build by `reason`; nullptr before its first event.
  const ObservedBuild* FirstBy(const std::string& workspace_id,
                               events::v1::BuildReason reason) const;

  /// Events that broke a promise of the stream: a workspace's version did not rise by one.
  int64_t out_of_order() const { return out_of_order_; }
  int64_t events() const { return events_; }

 private:
  struct Workspace {
    int64_t version = 0;
    std::map<int32_t, ObservedBuild> builds;
  };

  std::unordered_map<std::string, Workspace> workspaces_;
  int64_t events_ = 0;
  int64_t out_of_order_ = 0;
};

}  // namespace coder::cli::scaletest
