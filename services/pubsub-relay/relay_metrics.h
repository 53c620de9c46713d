#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace coder::relay {

// What the relay tells operators; each help text says what to conclude. Thread-safe.
struct RelayMetrics {
  // `registry` must outlive this.
  explicit RelayMetrics(prometheus::Registry& registry);

  prometheus::Counter& sequenced;
  // From the commit of the oldest event of a pack to its position.
  prometheus::Histogram& sequence_lag;
  prometheus::Counter& published;
  prometheus::Counter& rewinds;
  prometheus::Counter& refusals;
  prometheus::Counter& repairs;
  prometheus::Counter& epochs_begun;
  prometheus::Gauge& stream_up;
  prometheus::Gauge& epoch;
  prometheus::Gauge& head;
  prometheus::Gauge& confirmed;
  prometheus::Gauge& log_floor;
  prometheus::Gauge& outbox_rows;
  prometheus::Gauge& outbox_oldest_seconds;
  prometheus::Counter& late_partitions;
};

}  // namespace coder::relay
