#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

#include "libs/fanout/event_pump.h"
#include "libs/fanout/ring.h"

namespace coder::api {

/// What operators see of the watches; each help text says what to conclude. Thread-safe.
struct WatchMetrics {
  /// `registry` must outlive this.
  explicit WatchMetrics(prometheus::Registry& registry);

  /// Counts a watch that ended, by the reason a client sees.
  void CountEnding(const std::string& reason);
  /// Shows where the ring and the pump are; called by one thread.
  void Show(const fanout::Ring::Bounds& ring, const fanout::EventPump::Counters& counters);

  prometheus::Gauge& following;
  prometheus::Gauge& snapshotting;
  prometheus::Counter& events_sent;
  prometheus::Histogram& lag;

 private:
  prometheus::Family<prometheus::Counter>& endings_;
  prometheus::Gauge& ring_floor_;
  prometheus::Gauge& ring_head_;
  prometheus::Gauge& gaps_;
  prometheus::Gauge& duplicates_;
  prometheus::Gauge& conflicts_;
  prometheus::Gauge& log_failures_;
};

}  // namespace coder::api
