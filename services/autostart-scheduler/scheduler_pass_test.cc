#include "services/autostart-scheduler/scheduler_pass.h"

#include <catch2/catch.hpp>
#include <string>

#include "libs/clock/fake_clock.h"
#include "libs/ids/uuid.h"
#include "libs/metrics/metrics.h"
#include "libs/testing/matchers.h"

namespace coder::scheduler {
namespace {

using lifecycle::LifecycleKind;
using lifecycle::LifecycleOutcome;
using lifecycle::LifecycleProposal;
using lifecycle::LifecycleResult;
using lifecycle::WorkspaceId;
using testing::IsOk;
using testing::StatusIs;

// A coderd-api that applies everything it is sent.
class FakeLifecycleClient : public LifecycleClient {
 public:
  absl::Status StreamCandidates(absl::Time tick, std::stop_token, const Take& take) override {
    ticks.push_back(tick);
    for (const auto& candidate : candidates) take(candidate);
    return stream_status;
  }

  absl::StatusOr<std::vector<LifecycleResult>> Apply(
      absl::Time, const std::vector<LifecycleProposal>& proposals) override {
    if (!apply_status.ok()) return apply_status;
    batches.push_back(proposals);
    return std::vector<LifecycleResult>(proposals.size(), answer);
  }

  std::vector<lifecycle::LifecycleCandidate> candidates;
  std::vector<absl::Time> ticks;
  std::vector<std::vector<LifecycleProposal>> batches;
  absl::Status stream_status, apply_status;
  LifecycleResult answer{.outcome = LifecycleOutcome::kApplied};
};

constexpr char kNineSharp[] = "2026-03-02T09:00:00Z";  // a Monday

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  REQUIRE(absl::ParseTime(absl::RFC3339_full, text, &time, &error));
  return time;
}

struct Fixture {
  // A stopped workspace that starts at 09:00 UTC, last built the evening before.
  lifecycle::LifecycleCandidate& Stopped() {
    lifecycle::LifecycleCandidate candidate;
    candidate.workspace_id = WorkspaceId(ids.Next());
    candidate.snapshot.transition = lifecycle::BuildTransition::kStop;
    candidate.snapshot.build_created_at = At("2026-03-01T18:00:00Z");
    candidate.snapshot.job_completed_at = At("2026-03-01T18:01:00Z");
    candidate.snapshot.last_used_at = At("2026-03-01T18:00:00Z");
    candidate.snapshot.autostart_schedule = "CRON_TZ=UTC 0 9 * * *";
    client.candidates.push_back(candidate);
    return client.candidates.back();
  }

  absl::Status Run() { return pass.Run(std::stop_token()).status(); }

  double Metric(const std::string& line_start) {
    const std::string text = "\n" + metrics.Text();
    const size_t at = text.find("\n" + line_start + " ");
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(at + line_start.size() + 2));
  }

  clock::FakeClock clock{At("2026-03-02T09:00:00Z")};
  ids::UuidV7Generator ids{[this] { return clock.Now(); }, ids::SystemRandom()};
  metrics::Metrics metrics{"1", "r", "c"};
  SchedulerMetrics scheduler_metrics{metrics.registry()};
  FakeLifecycleClient client;
  SchedulerPass pass{client, clock, scheduler_metrics};
};

TEST_CASE("a tick is the clock's minute") {
  Fixture f;
  f.clock.Advance(absl::Seconds(59.5));
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.client.ticks == std::vector{At(kNineSharp)});
  CHECK(f.client.batches.empty());
}

TEST_CASE("what is due is sent, and what comes to nothing is sent to be recorded") {
  Fixture f;
  const WorkspaceId due = f.Stopped().workspace_id;
  f.Stopped().snapshot.build_created_at = At("2026-03-02T09:00:00Z");  // not due again
  auto& suspended = f.Stopped();
  suspended.snapshot.owner_status = lifecycle::UserStatus::kSuspended;
  REQUIRE_THAT(f.Run(), IsOk());
  REQUIRE(f.client.batches.size() == 1);
  const auto& batch = f.client.batches[0];
  REQUIRE(batch.size() == 2);
  CHECK(batch[0].workspace_id == due);
  CHECK(batch[0].kind == LifecycleKind::kAutostart);
  CHECK(batch[0].nominal_time == At(kNineSharp));
  CHECK(batch[0].attempt == 1);
  CHECK(batch[1].workspace_id == f.client.candidates[2].workspace_id);
  CHECK(f.Metric("coderd_scheduler_candidates_total") == 3);
  CHECK(f.Metric("coderd_scheduler_ticks_total") == 1);
}

TEST_CASE("a minute that was missed is caught up by the next tick") {
  Fixture f;
  f.clock.SetWall(At("2026-03-02T08:58:00Z"));
  f.Stopped();
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.client.batches.empty());
  f.clock.Advance(absl::Minutes(4));
  REQUIRE_THAT(f.Run(), IsOk());
  REQUIRE(f.client.batches.size() == 1);
  CHECK(f.client.batches[0][0].nominal_time == At(kNineSharp));
  CHECK(f.Metric("coderd_scheduler_ticks_missed_total") == 3);
  CHECK(f.Metric("coderd_scheduler_schedule_lag_seconds_sum{kind=\"autostart\"}") == 120);
}

TEST_CASE("decisions go in batches of at most five hundred") {
  Fixture f;
  for (int i = 0; i < 501; ++i) f.Stopped();
  REQUIRE_THAT(f.Run(), IsOk());
  REQUIRE(f.client.batches.size() == 2);
  CHECK(f.client.batches[0].size() == 500);
  CHECK(f.client.batches[1].size() == 1);
}

TEST_CASE("a schedule that cannot be read is counted and sent") {
  Fixture f;
  f.Stopped().snapshot.autostart_schedule = "when I wake up";
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_broken_schedules") == 1);
  REQUIRE(f.client.batches.size() == 1);
  CHECK(f.client.batches[0][0].nominal_time == f.client.candidates[0].snapshot.build_created_at);
}

TEST_CASE("outcomes are counted by reason") {
  Fixture f;
  f.Stopped();
  f.client.answer = {.outcome = LifecycleOutcome::kSkipped, .reason = "NO_PROVISIONER"};
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_outcomes_total{kind=\"autostart\",outcome=\"skipped\","
                 "reason=\"NO_PROVISIONER\"}") == 1);
  CHECK(f.Metric("coderd_scheduler_schedule_lag_seconds_count{kind=\"autostart\"}") == 0);
}

TEST_CASE("every metric is there before anything happened") {
  Fixture f;
  for (const char* name :
       {"coderd_scheduler_batches_total", "coderd_scheduler_batch_seconds_count",
        "coderd_scheduler_tick_candidates_count", "coderd_scheduler_tick_decisions_count",
        "coderd_scheduler_conflicts_total{kind=\"autostart\"}",
        "coderd_scheduler_retries_total{outcome=\"applied\"}",
        "coderd_scheduler_retries_total{outcome=\"missed\"}", "coderd_scheduler_catch_ups_total",
        "coderd_scheduler_next_fire_backlog"}) {
    INFO(name);
    CHECK(f.Metric(name) == 0);
  }
}

TEST_CASE("a tick's size, its batches and what stays open are measured") {
  Fixture f;
  for (int i = 0; i < 501; ++i) f.Stopped();
  f.client.answer = {.outcome = LifecycleOutcome::kSkipped, .reason = "NO_PROVISIONER"};
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_batches_total") == 2);
  CHECK(f.Metric("coderd_scheduler_batch_seconds_count") == 2);
  CHECK(f.Metric("coderd_scheduler_tick_candidates_sum") == 501);
  CHECK(f.Metric("coderd_scheduler_tick_decisions_sum") == 501);
  CHECK(f.Metric("coderd_scheduler_next_fire_backlog") == 501);
  f.client.answer = {.outcome = LifecycleOutcome::kNotDue};
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_next_fire_backlog") == 0);
  CHECK(f.Metric("coderd_scheduler_conflicts_total{kind=\"autostart\"}") == 501);
}

TEST_CASE("a spread start is on time at its place, and late more than two minutes after it") {
  Fixture f;
  f.Stopped().snapshot.autostart_offset = absl::Minutes(10);
  f.clock.SetWall(At("2026-03-02T09:12:00Z"));
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_schedule_lag_seconds_sum{kind=\"autostart\"}") == 120);
  CHECK(f.Metric("coderd_scheduler_catch_ups_total") == 0);
  f.clock.SetWall(At("2026-03-02T09:13:00Z"));
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK(f.Metric("coderd_scheduler_catch_ups_total") == 1);
}

TEST_CASE("a retry is sent with its attempt, counted, and no lag") {
  Fixture f;
  auto& snapshot = f.Stopped().snapshot;
  snapshot.transition = lifecycle::BuildTransition::kStart;
  snapshot.job_status = lifecycle::JobStatus::kFailed;
  snapshot.build_created_at = At("2026-03-02T09:00:00Z");
  snapshot.job_completed_at = At("2026-03-02T09:05:00Z");
  snapshot.failed_autostart = {At("2026-03-02T09:00:00Z"), 1};
  snapshot.policy.autostart_max_attempts = 2;
  f.clock.SetWall(At("2026-03-02T09:10:00Z"));
  REQUIRE_THAT(f.Run(), IsOk());
  REQUIRE(f.client.batches.size() == 1);
  CHECK(f.client.batches[0][0].attempt == 2);
  CHECK(f.Metric("coderd_scheduler_retries_total{outcome=\"applied\"}") == 1);
  CHECK(f.Metric("coderd_scheduler_schedule_lag_seconds_count{kind=\"autostart\"}") == 0);
}

TEST_CASE("a failed tick is told, and the next one makes up for it") {
  Fixture f;
  f.Stopped();
  CHECK_THAT(f.pass.LatestOutcome(), StatusIs(absl::StatusCode::kUnavailable, "no tick yet"));
  f.client.apply_status = absl::UnavailableError("connection refused");
  CHECK_THAT(f.Run(), StatusIs(absl::StatusCode::kUnavailable));
  CHECK_THAT(f.pass.LatestOutcome(),
             StatusIs(absl::StatusCode::kUnavailable, "connection refused"));
  CHECK(f.Metric("coderd_scheduler_ticks_total") == 0);

  f.client.apply_status = absl::OkStatus();
  REQUIRE_THAT(f.Run(), IsOk());
  CHECK_THAT(f.pass.LatestOutcome(), IsOk());
  CHECK(f.client.batches.size() == 1);

  // What was read before the stream broke is applied, but the tick does not count.
  f.client.stream_status = absl::UnavailableError("reset");
  CHECK_THAT(f.Run(), StatusIs(absl::StatusCode::kUnavailable, "reset"));
  CHECK(f.client.batches.size() == 2);
  CHECK(f.Metric("coderd_scheduler_ticks_total") == 1);
}

TEST_CASE("a stop ends the pass between two batches") {
  Fixture f;
  f.Stopped();
  std::stop_source source;
  source.request_stop();
  CHECK_THAT(f.pass.Run(source.get_token()).status(), StatusIs(absl::StatusCode::kCancelled));
  CHECK(f.client.batches.empty());
}

}  // namespace
}  // namespace coder::scheduler
