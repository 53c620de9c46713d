#include "cli/coderctl/scaletest/builds_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/coderctl/scaletest/cleanup.h"
#include "cli/coderctl/scaletest/crew.h"
#include "libs/status/status_macros.h"

namespace coder::cli::scaletest {

bool BuildLoad::Prepare() {
  CreateAll(rig_, fleet_);
  for (const Member& member : fleet_) {
    if (member.timeline.error_kind.empty() && !member.workspace_id.empty()) {
      running_.push_back(&member);
    } else {
      timelines_.push_back(member.timeline);
    }
  }
  return !running_.empty();
}

void BuildLoad::Run() {
  origin_ = rig_.clock.Now();
  begun_ = rig_.clock.MonotonicNow();
  const auto seconds = static_cast<int>(absl::ToInt64Seconds(options_.duration));
  rig_.progress.Begin("build", options_.rate > 0 ? static_cast<int>(options_.rate * seconds) : 0);
  const int workers = std::min<int>(rig_.options.concurrency, static_cast<int>(running_.size()));
  ForEach(workers, workers, rig_.stops->test(), [&](int worker) { Work(worker, workers); });
}

void BuildLoad::Work(int worker, int workers) {
  for (int round = 0; true; ++round) {
    for (size_t i = worker; i < running_.size(); i += workers) {
      if (!NextTurn()) return;
      BuildOnce(*running_[i], round);
    }
  }
}

bool BuildLoad::NextTurn() {
  absl::Duration due = rig_.clock.MonotonicNow();
  if (options_.rate > 0) {
    const std::lock_guard lock(mutex_);
    due = std::max(due, begun_ + absl::Seconds(static_cast<double>(turns_++) / options_.rate));
  }
  if (due > begun_ + options_.duration) return false;
  return rig_.clock.WaitUntil(due, rig_.stops->test());
}

void BuildLoad::BuildOnce(const Member& member, int round) {
  Member made;
  made.timeline.name = member.timeline.name;
  made.timeline.configured = rig_.clock.Now();
  const auto build =
      Build(rig_, member.workspace_id,
            round % 2 == 0 ? events::v1::BUILD_TRANSITION_STOP : events::v1::BUILD_TRANSITION_START,
            rig_.stops->test());
  if (build.ok()) {
    made.timeline.created = build->created;
    made.timeline.acquired = build->acquired;
    made.timeline.completed = build->completed;
    made.timeline.seen = build->seen;
    rig_.progress.Done();
  } else {
    // What the end of the test cuts off has not failed.
    if (rig_.stops->test().stop_requested()) return;
    Fail(made, "build", build.status());
    rig_.progress.Failed();
  }
  const std::lock_guard lock(mutex_);
  timelines_.push_back(made.timeline);
}

int BuildLoad::failed() const {
  return static_cast<int>(
      std::count_if(timelines_.begin(), timelines_.end(), [](const Timeline& timeline) {
        return !timeline.error_kind.empty() || timeline.completed == absl::InfinitePast();
      }));
}

void Describe(const BuildLoad& load, const Rig& rig, Report& report) {
  const auto measure = [&](const char* name, const char* meaning, absl::Time Timeline::*from,
                           absl::Time Timeline::*to) {
    report.measures.push_back({name, meaning, Between(load.timelines(), from, to)});
  };
  measure("created_to_completed", "queued until done", &Timeline::created, &Timeline::completed);
  measure("asked_to_created", "asked for until queued (two clocks)", &Timeline::configured,
          &Timeline::created);
  measure("created_to_acquired", "queued until a provisioner took it", &Timeline::created,
          &Timeline::acquired);
  measure("acquired_to_completed", "taken until done", &Timeline::acquired, &Timeline::completed);
  measure("completed_to_seen", "done until the stream told (two clocks)", &Timeline::completed,
          &Timeline::seen);
  const size_t builds = report.measures.front().values.size();
  const double seconds = absl::ToDoubleSeconds(rig.clock.Now() - load.origin());
  report.facts.emplace_back("template", rig.workspace_template.name());
  report.facts.emplace_back("workspaces", std::to_string(rig.options.workspaces));
  report.facts.emplace_back("builds", std::to_string(builds));
  report.facts.emplace_back("failed", std::to_string(load.failed()));
  report.facts.emplace_back("builds/s",
                            absl::StrFormat("%.1f", static_cast<double>(builds) / seconds));
  report.facts.emplace_back("stream dropped and resumed", std::to_string(rig.stream->drops()));
  rig.stream->Look([&report](const BuildBoard& board) {
    report.facts.emplace_back("events lost or out of order", std::to_string(board.out_of_order()));
  });
}

absl::Status RunBuilds(const SessionOptions& session, const BuildsOptions& options) {
  RETURN_IF_ERROR(Check(options.load));
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig, Rig::Open(session, options.load));
  BuildLoad load(*rig, options);
  Report report{.kind = "builds", .run = rig->run, .begun = rig->clock.Now()};
  if (load.Prepare()) load.Run();
  rig->progress.End();
  report.ended = rig->clock.Now();
  report.origin = load.origin();
  report.timelines = load.timelines();
  Describe(load, *rig, report);
  absl::Status status = Write(report, options.load.outputs);
  if (!options.load.no_cleanup) status.Update(Cleanup(*rig, rig->run));
  status.Update(
      Verdict(*rig, "scaletest builds", load.failed(), static_cast<int>(load.timelines().size())));
  return status;
}

}  // namespace coder::cli::scaletest
