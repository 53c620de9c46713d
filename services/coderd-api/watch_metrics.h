#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <string>

#include "absl/time/time.h"
#include "libs/fanout/delivery_check.h"
#include "libs/fanout/event_pump.h"
#include "libs/fanout/ring.h"
#include "services/coderd-api/watch_sessions.h"

namespace coder::api {

/// What operators see of the watches; each help text says what to conclude. Every series exists
/// from the start. Thread-safe.
class WatchMetrics {
 public:
  /// `registry` must outlive this.
  explicit WatchMetrics(prometheus::Registry& registry);

  /// Counts a watch that ended, by the reason a client sees.
  void CountEnding(const std::string& reason);
  /// Counts what the own count of a watch found.
  void CountCheck(fanout::DeliveryCheck::Verdict verdict);
  /// Observes that an event of `time_us` (EventSlice::time_us) arrived in the ring at `now`.
  void ObserveArrival(int64_t time_us, absl::Time now);
  /// Observes that an event of `time_us` was handed to the connection of a watch at `now`.
  void ObserveDelivery(int64_t time_us, absl::Time now);
  /// Shows where the ring is and what feeds it.
  void Show(const fanout::Ring::Bounds& ring, const fanout::EventPump& pump);
  /// Shows how many watches are in which state.
  void Show(const WatchCounts& watches);

  prometheus::Counter& events_sent;
  prometheus::Counter& bytes_sent;

 private:
  prometheus::Histogram& lag_;
  prometheus::Histogram& delivery_lag_;
  std::map<std::string, prometheus::Counter*> endings_;
  prometheus::Counter& check_gaps_;
  prometheus::Counter& check_duplicates_;
  std::map<WatchState, prometheus::Gauge*> watchers_;
  prometheus::Gauge& ring_floor_;
  prometheus::Gauge& ring_head_;
  prometheus::Gauge& follows_stream_;
  prometheus::Gauge& gaps_;
  prometheus::Gauge& duplicates_;
  prometheus::Gauge& conflicts_;
  prometheus::Gauge& log_failures_;
};

}  // namespace coder::api
