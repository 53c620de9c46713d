#include "services/coderd-api/watch_metrics.h"

namespace coder::api {
namespace {

prometheus::Gauge& ShowAs(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Family<prometheus::Gauge>& Watchers(prometheus::Registry& registry) {
  return prometheus::BuildGauge()
      .Name("coderd_watch_watchers")
      .Help(
          "Open watches by state. Many in 'snapshot' for long: the database is slow, or clients "
          "cannot resume.")
      .Register(registry);
}

}  // namespace

WatchMetrics::WatchMetrics(prometheus::Registry& registry)
    : following(Watchers(registry).Add({{"state", "following"}})),
      snapshotting(Watchers(registry).Add({{"state", "snapshot"}})),
      events_sent(prometheus::BuildCounter()
                      .Name("coderd_watch_events_sent_total")
                      .Help("Events sent to watches, each watch counting for itself.")
                      .Register(registry)
                      .Add({})),
      lag(prometheus::BuildHistogram()
              .Name("coderd_watch_lag_seconds")
              .Help("From an event's own time to its arrival in this process's ring, newest event "
                    "of each pack. Above a second: the relay, NATS or the database is slow.")
              .Register(registry)
              .Add({}, prometheus::Histogram::BucketBoundaries{0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                               0.5, 1, 2.5, 5, 10, 30})),
      endings_(prometheus::BuildCounter()
                   .Name("coderd_watch_endings_total")
                   .Help("Watches ended by this process, by reason. FELL_BEHIND rising: readers "
                         "cannot keep up; EPOCH_CHANGED: the database went back.")
                   .Register(registry)),
      ring_floor_(ShowAs(registry, "coderd_watch_ring_floor_position",
                         "The oldest position in memory; older ones are read from the log.")),
      ring_head_(ShowAs(registry, "coderd_watch_ring_head_position",
                        "The newest position in memory. Behind the relay's head: see lag.")),
      gaps_(ShowAs(registry, "coderd_watch_stream_gaps",
                   "Holes in the stream since the start, each filled from the log. Rising: the "
                   "stream loses messages or relays take turns.")),
      duplicates_(ShowAs(registry, "coderd_watch_stream_duplicates",
                         "Events the stream delivered again since the start; harmless.")),
      conflicts_(ShowAs(registry, "coderd_watch_stream_conflicts",
                        "Positions with two events since the start. Not 0: the log was changed "
                        "behind the relay's back; begin a new epoch.")),
      log_failures_(ShowAs(registry, "coderd_watch_log_failures",
                           "Reads of the log that failed since the start. Rising: see the "
                           "database.")) {
  // What alerts ask for is there from the start, so that its first rise is one.
  for (const char* reason : {"FELL_BEHIND", "EPOCH_CHANGED", "TOKEN_TOO_OLD", "DRAINING", "MAX_AGE",
                             "LOG_UNREACHABLE", "CANCELLED"}) {
    endings_.Add({{"reason", reason}});
  }
}

void WatchMetrics::CountEnding(const std::string& reason) {
  endings_.Add({{"reason", reason}}).Increment();
}

void WatchMetrics::Show(const fanout::Ring::Bounds& ring,
                        const fanout::EventPump::Counters& counters) {
  ring_floor_.Set(static_cast<double>(ring.floor));
  ring_head_.Set(static_cast<double>(ring.head));
  gaps_.Set(static_cast<double>(counters.gaps));
  duplicates_.Set(static_cast<double>(counters.dropped_events));
  conflicts_.Set(static_cast<double>(counters.conflicts));
  log_failures_.Set(static_cast<double>(counters.log_failures));
}

}  // namespace coder::api
