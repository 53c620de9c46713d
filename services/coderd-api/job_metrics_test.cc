#include "services/coderd-api/job_metrics.h"

#include <catch2/catch.hpp>
#include <string>

#include "libs/metrics/metrics.h"

namespace coder::api {
namespace {

const absl::Time kNine = absl::FromUnixSeconds(1'772'442'000);

struct Fixture {
  double Metric(const std::string& line_start) {
    const std::string text = "\n" + registry.Text();
    const size_t at = text.find("\n" + line_start + " ");
    if (at == std::string::npos) return -1;
    return std::stod(text.substr(at + line_start.size() + 2));
  }

  double Lag(const std::string& what, const std::string& reason, const std::string& stage) {
    return Metric("coderd_schedule_lag_seconds_" + what + "{build_reason=\"" + reason +
                  "\",stage=\"" + stage + "\"}");
  }

  storage::AcquiredJob Acquired(std::optional<absl::Time> due) {
    storage::AcquiredJob job;
    job.provisioner = "echo";
    job.created_at = kNine + absl::Seconds(20);
    job.started_at = kNine + absl::Seconds(50);
    job.work = storage::BuildWork{.reason = lifecycle::BuildReason::kAutostart, .due_at = due};
    return job;
  }

  metrics::Metrics registry{"1", "r", "c"};
  JobMetrics metrics{registry.registry()};
};

TEST_CASE("the lag of every rule is there before anything happened") {
  Fixture f;
  for (const char* reason : {"autostart", "autostop", "dormancy", "failedstop", "autodelete"}) {
    for (const char* stage : {"acquired", "succeeded"}) CHECK(f.Lag("count", reason, stage) == 0);
  }
}

TEST_CASE("the lag counts from when the rule was due, and only where one was") {
  Fixture f;
  f.metrics.ObserveQueueWait(f.Acquired(kNine));
  f.metrics.ObserveQueueWait(f.Acquired(std::nullopt));
  CHECK(f.Lag("count", "autostart", "acquired") == 1);
  CHECK(f.Lag("sum", "autostart", "acquired") == 50);
  f.metrics.ObserveCompleted({.reason = lifecycle::BuildReason::kAutostop,
                              .completed_at = kNine + absl::Seconds(90),
                              .due_at = kNine});
  f.metrics.ObserveCompleted({.completed_at = kNine});
  CHECK(f.Lag("sum", "autostop", "succeeded") == 90);
  CHECK(f.Lag("count", "autostart", "succeeded") == 0);
}

}  // namespace
}  // namespace coder::api
