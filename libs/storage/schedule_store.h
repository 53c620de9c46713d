#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/deadline.h"
#include "libs/lifecycle/decision.h"
#include "libs/lifecycle/ids.h"

namespace coder::storage {

/// A workspace as the lifecycle rules see it, and the database's time of the look.
struct ScheduleView {
  lifecycle::LifecycleSnapshot snapshot;
  absl::Time now;
};

/// What a template says of its workspaces' autostarts.
struct TemplateSchedule {
  lifecycle::OrganizationId organization;
  lifecycle::TemplatePolicy policy;
  std::vector<lifecycle::BlackoutDates> blackouts;
  absl::Time now;
};

/// Which autostarts are left out now.
struct SkippedStarts {
  /// The last nominal time left out; absent: none.
  std::optional<absl::Time> until;
  /// The first nominal time that is not.
  absl::Time next;
};

/// What a use did to a workspace.
struct RecordedActivity {
  bool deadline_moved = false;
  std::optional<absl::Time> deadline;
  std::optional<absl::Time> max_deadline;
};

/// Outcomes of nominal times are kept this long, and the newest autostart's of a workspace for
/// good.
inline constexpr absl::Duration kOutcomeRetention = absl::Hours(90 * 24);
/// A use is noted when the latest was this long ago.
inline constexpr absl::Duration kUseResolution = absl::Minutes(1);
/// Autostarts that may be left out at once.
inline constexpr int kMaxSkippedStarts = 31;

/// What people and agents say about schedules. Each method is one transaction by the database's
/// clock. Safe to call from many threads. Every method may also return UNAVAILABLE,
/// DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED, and a changing one UNKNOWN when it is open whether the
/// change was made.
class ScheduleStore {
 public:
  virtual ~ScheduleStore() = default;

  /// NOT_FOUND for a workspace that does not exist or has no build.
  virtual absl::StatusOr<ScheduleView> View(const lifecycle::WorkspaceId& id,
                                            clock::Deadline deadline) = 0;

  /// NOT_FOUND also for a deleted template.
  virtual absl::StatusOr<TemplateSchedule> ViewTemplate(const lifecycle::TemplateId& id,
                                                        clock::Deadline deadline) = 0;

  /// Leaves out the next `count` nominal autostarts counted from now, 1 to kMaxSkippedStarts; zero:
  /// none any more.
  ///   NOT_FOUND            as View, and for a deleted workspace
  ///   FAILED_PRECONDITION  reason NO_SCHEDULE: it does not start by itself, or never on a day its
  ///                        template allows
  virtual absl::StatusOr<SkippedStarts> SkipStarts(const lifecycle::WorkspaceId& id, int count,
                                                   clock::Deadline deadline) = 0;

  /// Notes that a running workspace was used, through this agent if not empty, and moves its
  /// deadline as schedule::DeadlineAfterActivity says. Writes nothing when the latest use was less
  /// than kUseResolution ago and the deadline stays.
  ///   NOT_FOUND            as SkipStarts
  ///   FAILED_PRECONDITION  reason NOT_RUNNING
  ///   INVALID_ARGUMENT     with a violation of `agent`: the latest build has none of this name
  virtual absl::StatusOr<RecordedActivity> RecordActivity(const lifecycle::WorkspaceId& id,
                                                          const std::string& agent,
                                                          clock::Deadline deadline) = 0;

  /// The daily schedule a user has chosen; absent: none. NOT_FOUND.
  virtual absl::StatusOr<std::optional<std::string>> QuietHours(const lifecycle::UserId& user,
                                                                clock::Deadline deadline) = 0;
  /// Absent: the deployment's again. NOT_FOUND.
  virtual absl::Status SetQuietHours(const lifecycle::UserId& user,
                                     const std::optional<std::string>& schedule,
                                     clock::Deadline deadline) = 0;
};

}  // namespace coder::storage
