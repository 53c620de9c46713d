#include "services/provisionerd/job_metrics.h"

namespace coder::provisionerd {
namespace {

const prometheus::Histogram::BucketBoundaries kBuckets = {1, 10, 30, 60, 300, 600, 1800, 3600};

}  // namespace

JobMetrics::JobMetrics(prometheus::Registry& registry, int slots)
    : running_(
          prometheus::BuildGauge()
              .Name("coderd_provisionerd_jobs_current")
              .Help(
                  "Jobs this daemon runs now. At coderd_provisionerd_slots for long: add daemons.")
              .Register(registry)
              .Add({})),
      ended_(prometheus::BuildCounter()
                 .Name("coderd_provisionerd_jobs_total")
                 .Help("Jobs by how they ended. A rising lease_lost means heartbeats do not get "
                       "through in time.")
                 .Register(registry)),
      seconds_(prometheus::BuildHistogram()
                   .Name("coderd_provisionerd_job_timings_seconds")
                   .Help("How long jobs took from acquire to report. A jump for one provisioner "
                         "points at its "
                         "engine or registry.")
                   .Register(registry)) {
  prometheus::BuildGauge()
      .Name("coderd_provisionerd_slots")
      .Help("Jobs this daemon can run at once.")
      .Register(registry)
      .Add({})
      .Set(slots);
  for (const char* provisioner : {"terraform", "echo"}) {
    for (const char* end : {"succeeded", "failed", "canceled", "lease_lost"}) {
      ended_.Add({{"provisioner", provisioner}, {"status", end}});
      seconds_.Add({{"provisioner", provisioner}, {"status", end}}, kBuckets);
    }
  }
}

void JobMetrics::SetRunning(int running) { running_.Set(running); }

void JobMetrics::Record(const std::string& provisioner, std::string_view end, absl::Duration took) {
  const std::map<std::string, std::string> labels = {{"provisioner", provisioner},
                                                     {"status", std::string(end)}};
  ended_.Add(labels).Increment();
  seconds_.Add(labels, kBuckets).Observe(absl::ToDoubleSeconds(took));
}

}  // namespace coder::provisionerd
