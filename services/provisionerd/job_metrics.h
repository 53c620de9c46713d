#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace coder::provisionerd {

/// What an operator learns of a daemon's jobs. Thread safe.
class JobMetrics {
 public:
  JobMetrics(prometheus::Registry& registry, int slots);

  /// How many slots are busy now.
  void SetRunning(int running);
  /// One job ended ("succeeded", "failed", "canceled", "lease_lost") after `took`.
  void Record(const std::string& provisioner, std::string_view end, absl::Duration took);

 private:
  prometheus::Gauge& running_;
  prometheus::Family<prometheus::Counter>& ended_;
  prometheus::Family<prometheus::Histogram>& seconds_;
};

}  // namespace coder::provisionerd
