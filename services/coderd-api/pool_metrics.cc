#include "services/coderd-api/pool_metrics.h"

#include "absl/time/time.h"
#include "libs/metrics/single.h"

namespace coder::api {
namespace {

prometheus::Gauge& Sessions(prometheus::Registry& registry, const char* state) {
  return prometheus::BuildGauge()
      .Name("coderd_database_sessions")
      .Help(
          "Open sessions with PostgreSQL by state. All in use for long: statements are slow, or "
          "the "
          "pool is too small.")
      .Register(registry)
      .Add({{"state", state}});
}

}  // namespace

PoolMetrics::PoolMetrics(prometheus::Registry& registry)
    : in_use_(Sessions(registry, "in_use")),
      idle_(Sessions(registry, "idle")),
      waiting_(
          prometheus::BuildGauge()
              .Name("coderd_database_waiting_callers")
              .Help("Callers that wait for a session now. Above 0 for minutes: the pool or the "
                    "database is too small.")
              .Register(registry)
              .Add({})),
      acquires_(metrics::AddCounter(
          registry, "coderd_database_acquires_total",
          "Sessions handed out. With coderd_database_acquire_seconds_total: how long "
          "one takes on average; more than milliseconds means waiting.")),
      acquire_seconds_(metrics::AddCounter(registry, "coderd_database_acquire_seconds_total",
                                           "Time all callers together waited for their sessions.")),
      connect_failures_(
          metrics::AddCounter(registry, "coderd_database_connect_failures_total",
                              "Sessions that could not be opened. Rising: PostgreSQL is away, full "
                              "or refuses the credentials; the log says which.")),
      discarded_(metrics::AddCounter(
          registry, "coderd_database_sessions_discarded_total",
          "Sessions given up because they broke or a statement was canceled. Rising "
          "steadily: the network, failovers or deadlines that are too short.")) {}

void PoolMetrics::Show(const pg::PoolStats& stats) {
  in_use_.Set(stats.in_use);
  idle_.Set(stats.idle);
  waiting_.Set(stats.waiting);
  acquires_.Increment(static_cast<double>(stats.acquired - shown_.acquired));
  acquire_seconds_.Increment(absl::ToDoubleSeconds(stats.acquire_time - shown_.acquire_time));
  connect_failures_.Increment(
      static_cast<double>(stats.connect_failures - shown_.connect_failures));
  discarded_.Increment(static_cast<double>(stats.discarded - shown_.discarded));
  shown_ = stats;
}

}  // namespace coder::api
