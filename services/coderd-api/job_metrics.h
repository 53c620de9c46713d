#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <vector>

#include "libs/storage/job_records.h"

namespace coder::api {

/// What is measured of jobs. Thread-safe.
class JobMetrics {
 public:
  /// The registry must outlive the metrics.
  explicit JobMetrics(prometheus::Registry& registry);

  /// How long a job that was just given out had waited. Rising with idle daemons: no daemon has
  /// the job's tags; rising without: there are too few daemons.
  /// Of builds that a rule asked for, also how long after it was due.
  void ObserveQueueWait(const storage::AcquiredJob& job);

  /// How long after a rule was due its build had succeeded; nothing for what people ask for.
  void ObserveCompleted(const storage::CompletedBuild& build);

  /// Jobs whose provisioner went silent. Rising means dying or unreachable provisioners.
  void CountReaped(const std::vector<storage::ReapedJob>& jobs);

  /// Open streams of waiting daemons; without any, no job is started.
  void SetAcquireStreams(size_t streams);

  /// Unfinished jobs by status; what is not in `counts` is zero.
  void SetJobs(const std::vector<storage::JobCount>& counts);

 private:
  void ObserveLag(lifecycle::BuildReason reason, const char* stage, absl::Duration lag);

  prometheus::Family<prometheus::Histogram>& queue_wait_;
  prometheus::Family<prometheus::Counter>& reaped_;
  prometheus::Gauge& streams_;
  prometheus::Family<prometheus::Gauge>& jobs_;
  prometheus::Family<prometheus::Histogram>& schedule_lag_;
};

}  // namespace coder::api
