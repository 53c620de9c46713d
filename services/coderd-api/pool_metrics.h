#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "libs/pg/pool.h"

namespace coder::api {

/// What operators see of the sessions with PostgreSQL; each help text says what to conclude. One
/// thread.
class PoolMetrics {
 public:
  /// `registry` must outlive this.
  explicit PoolMetrics(prometheus::Registry& registry);

  /// Shows where the pool is. `stats` are later ones than those of the call before.
  void Show(const pg::PoolStats& stats);

 private:
  prometheus::Gauge& in_use_;
  prometheus::Gauge& idle_;
  prometheus::Gauge& waiting_;
  prometheus::Counter& acquires_;
  prometheus::Counter& acquire_seconds_;
  prometheus::Counter& connect_failures_;
  prometheus::Counter& discarded_;
  pg::PoolStats shown_;
};

}  // namespace coder::api
