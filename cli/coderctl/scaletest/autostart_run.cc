#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/coderctl/scaletest/cleanup.h"
#include "cli/coderctl/scaletest/crew.h"
#include "cli/coderctl/scaletest/fleet.h"
#include "cli/coderctl/scaletest/report.h"
#include "cli/coderctl/scaletest/runs.h"
#include "coder/api/v1/workspace.grpc.pb.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {
namespace {

using api::v1::WorkspaceService;

/// How many autostarts stand where.
struct Counts {
  int pending = 0;
  int running = 0;
  int ended = 0;
};

class AutostartRun {
 public:
  AutostartRun(Rig& rig, const AutostartOptions& options)
      : rig_(rig), options_(options), begun_(rig.clock.Now()), fleet_(NewFleet(rig)) {}

  void Run() {
    CreateAll(rig_, fleet_, [this](Member& member) { return StopIt(member); });
    if (rig_.stops->test().stop_requested()) return;
    scheduled_ = AutostartTime(rig_.clock.Now(), options_.delay);
    SetSchedules();
    AwaitStarts();
    Collect();
  }

  Report MakeReport() const;
  int failed() const {
    return static_cast<int>(std::count_if(fleet_.begin(), fleet_.end(), [](const Member& member) {
      return !member.timeline.error_kind.empty() ||
             member.timeline.completed == absl::InfinitePast();
    }));
  }

 private:
  bool StopIt(Member& member) {
    const absl::Status status =
        Build(rig_, member.workspace_id, events::v1::BUILD_TRANSITION_STOP, rig_.stops->test())
            .status();
    if (!status.ok()) Fail(member, "stop", status);
    return status.ok();
  }

  void SetSchedules();
  void SetSchedule(Member& member);
  void AwaitStarts();
  Counts Count(const BuildBoard& board) const;
  void Collect();

  Rig& rig_;
  const AutostartOptions& options_;
  const absl::Time begun_;
  absl::Time scheduled_ = absl::InfinitePast();
  std::vector<Member> fleet_;
  // Those whose start is waited for.
  std::vector<Member*> due_;
  std::atomic<int> pending_ = 0;
  std::atomic<int> running_ = 0;
};

void AutostartRun::SetSchedules() {
  std::vector<Member*> ready;
  for (Member& member : fleet_) {
    if (member.timeline.error_kind.empty()) ready.push_back(&member);
  }
  rig_.progress.Begin("schedule", static_cast<int>(ready.size()));
  ForEach(static_cast<int>(ready.size()), rig_.options.concurrency, rig_.stops->test(),
          [&](int i) { SetSchedule(*ready[i]); });
  for (Member* member : ready) {
    if (member->timeline.configured != absl::InfinitePast()) due_.push_back(member);
  }
}

void AutostartRun::SetSchedule(Member& member) {
  api::v1::UpdateWorkspaceRequest request;
  request.mutable_workspace()->set_id(member.workspace_id);
  request.mutable_workspace()->set_autostart_schedule(DailyAt(scheduled_));
  request.mutable_update_mask()->add_paths("autostart_schedule");
  absl::Status status = rig_.api
                            .Call<WorkspaceService>(&WorkspaceService::Stub::UpdateWorkspace,
                                                    request, rig_.stops->test())
                            .status();
  if (status.ok() && rig_.clock.Now() >= scheduled_) {
    status = absl::FailedPreconditionError(
        "the schedule was set after its time; raise --autostart-delay");
  }
  if (!status.ok()) {
    Fail(member, "schedule", status);
    rig_.progress.Failed();
    return;
  }
  member.timeline.configured = rig_.clock.Now();
  member.timeline.scheduled = scheduled_;
  rig_.progress.Done();
}

Counts AutostartRun::Count(const BuildBoard& board) const {
  Counts counts;
  for (const Member* member : due_) {
    const ObservedBuild* build =
        board.FirstBy(member->workspace_id, events::v1::BUILD_REASON_AUTOSTART);
    if (build == nullptr) continue;
    ++(IsFinal(build->status)                            ? counts.ended
       : build->status == events::v1::JOB_STATUS_PENDING ? counts.pending
                                                         : counts.running);
  }
  return counts;
}

void AutostartRun::AwaitStarts() {
  const int due = static_cast<int>(due_.size());
  rig_.progress.Begin("wait", 0, [this] {
    return absl::StrCat("due in ", absl::ToInt64Seconds(scheduled_ - rig_.clock.Now()) + 1, " s");
  });
  rig_.clock.Wait(scheduled_ - rig_.clock.Now(), rig_.stops->test());
  rig_.progress.Begin("autostart", due, [this] {
    return absl::StrCat("pending ", pending_.load(), "  running ", running_.load());
  });
  // What has not come by then is found by Collect.
  (void)rig_.stream->WaitUntil(
      [&](const BuildBoard& board) {
        const Counts counts = Count(board);
        pending_ = counts.pending;
        running_ = counts.running;
        rig_.progress.SetDone(counts.ended);
        return counts.ended == due;
      },
      options_.build_timeout, rig_.stops->test());
}

void AutostartRun::Collect() {
  rig_.stream->Look([this](const BuildBoard& board) {
    for (Member* member : due_) {
      const ObservedBuild* build =
          board.FirstBy(member->workspace_id, events::v1::BUILD_REASON_AUTOSTART);
      if (build == nullptr || !IsFinal(build->status)) {
        const char* what = build == nullptr ? "no build was queued" : "its build has not ended";
        Fail(*member, "autostart",
             rig_.stops->test().stop_requested() ? absl::CancelledError(what)
                                                 : absl::DeadlineExceededError(what));
        if (build == nullptr) continue;
      } else if (build->status != events::v1::JOB_STATUS_SUCCEEDED) {
        Fail(*member, "autostart", absl::AbortedError(build->error));
      } else if (build->transition != events::v1::BUILD_TRANSITION_START) {
        Fail(*member, "unexpected_transition", absl::InternalError("the build is no start"));
      }
      member->timeline.created = build->created;
      member->timeline.acquired = build->acquired;
      member->timeline.completed = build->completed;
      member->timeline.seen = build->seen;
    }
  });
}

Report AutostartRun::MakeReport() const {
  Report report{.kind = "autostart",
                .run = rig_.run,
                .begun = begun_,
                .ended = rig_.clock.Now(),
                .origin = scheduled_};
  for (const Member& member : fleet_) report.timelines.push_back(member.timeline);
  const auto measure = [&report](const char* name, const char* meaning, absl::Time Timeline::*from,
                                 absl::Time Timeline::*to) {
    report.measures.push_back({name, meaning, Between(report.timelines, from, to)});
  };
  measure("trigger_to_completed", "due until started", &Timeline::scheduled, &Timeline::completed);
  measure("trigger_to_created", "due until its build was queued", &Timeline::scheduled,
          &Timeline::created);
  measure("created_to_acquired", "queued until a provisioner took it", &Timeline::created,
          &Timeline::acquired);
  measure("acquired_to_completed", "taken until done", &Timeline::acquired, &Timeline::completed);
  measure("completed_to_seen", "done until the stream told (two clocks)", &Timeline::completed,
          &Timeline::seen);
  measure("end_to_end", "schedule set until started, the delay included", &Timeline::configured,
          &Timeline::completed);
  const int succeeded = static_cast<int>(fleet_.size()) - failed();
  const Percentiles whole = PercentilesOf(report.measures.front().values);
  report.facts = {
      {"template", rig_.workspace_template.name()},
      {"workspaces", std::to_string(fleet_.size())},
      {"due at", scheduled_ == absl::InfinitePast()
                     ? "-"
                     : absl::FormatTime("%Y-%m-%d %H:%M UTC", scheduled_, absl::UTCTimeZone())},
      {"started by themselves", std::to_string(succeeded)},
      {"failed", std::to_string(failed())},
      {"builds/s from due to the last end",
       whole.max > absl::ZeroDuration()
           ? absl::StrFormat("%.1f",
                             static_cast<double>(whole.count) / absl::ToDoubleSeconds(whole.max))
           : "-"},
      {"stream dropped and resumed", std::to_string(rig_.stream->drops())}};
  rig_.stream->Look([&report](const BuildBoard& board) {
    report.facts.emplace_back("events", std::to_string(board.events()));
    report.facts.emplace_back("events lost or out of order", std::to_string(board.out_of_order()));
  });
  return report;
}

}  // namespace

absl::Status RunAutostart(const SessionOptions& session, const AutostartOptions& options) {
  RETURN_IF_ERROR(Check(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig, Rig::Open(session, options.load));
  AutostartRun run(*rig, options);
  run.Run();
  rig->progress.End();
  absl::Status status = Write(run.MakeReport(), options.load.outputs);
  if (!options.load.no_cleanup) status.Update(Cleanup(*rig, rig->run));
  status.Update(Verdict(*rig, "scaletest autostart", run.failed(), options.load.workspaces));
  return status;
}

absl::Status RunCleanup(const SessionOptions& session, const LoadOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig, Rig::Open(session, options));
  return Cleanup(*rig, "");
}

}  // namespace coder::cli::scaletest
