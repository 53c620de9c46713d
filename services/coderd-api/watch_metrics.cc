#include "services/coderd-api/watch_metrics.h"

#include "libs/metrics/single.h"

namespace coder::api {
namespace {

using Verdict = fanout::DeliveryCheck::Verdict;

// Every reason a watch of this version ends with; what is not among them counts as OTHER.
constexpr const char* kReasons[] = {
    "ACTION_FORBIDDEN",
    "CANCELLED",
    "DRAINING",
    "EPOCH_CHANGED",
    "EXPERIMENT_DISABLED",
    "FELL_BEHIND",
    "INVALID_ARGUMENT",
    "LOG_UNREACHABLE",
    "MAX_AGE",
    "OTHER",
    "SELF_CHECK_FAILED",
    "TOKEN_EXPIRED",
    "TOKEN_INVALID",
    "TOKEN_MISSING",
    "TOKEN_REVOKED",
    "TOKEN_TOO_OLD",
    "TOO_MANY_SNAPSHOTS",
    "TOO_MANY_WATCHES",
    "USER_SUSPENDED",
};

constexpr WatchState kStates[] = {
    WatchState::kSnapshot,
    WatchState::kReplaying,
    WatchState::kFollowing,
    WatchState::kStalled,
};

const prometheus::Histogram::BucketBoundaries& LagBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
  return buckets;
}

std::map<std::string, prometheus::Counter*> Endings(prometheus::Registry& registry) {
  auto& family =
      prometheus::BuildCounter()
          .Name("coderd_watch_endings_total")
          .Help(
              "Watches ended by this process, by the reason the client sees. FELL_BEHIND rising: "
              "readers cannot keep up; EPOCH_CHANGED: the database went back; CANCELLED: the "
              "client went away by itself; SELF_CHECK_FAILED must stay 0.")
          .Register(registry);
  std::map<std::string, prometheus::Counter*> endings;
  for (const char* reason : kReasons) endings[reason] = &family.Add({{"reason", reason}});
  return endings;
}

std::map<WatchState, prometheus::Gauge*> Watchers(prometheus::Registry& registry) {
  auto& family =
      prometheus::BuildGauge()
          .Name("coderd_watch_watchers")
          .Help(
              "Open watches by state. Many in 'snapshot' or 'replaying' for long: the database "
              "is slow, or clients come without a recent token; 'stalled': a write has waited "
              "for its reader for a second, and is cut off soon.")
          .Register(registry);
  std::map<WatchState, prometheus::Gauge*> watchers;
  for (const WatchState state : kStates) {
    watchers[state] = &family.Add({{"state", WatchStateName(state)}});
  }
  return watchers;
}

double SecondsSince(int64_t time_us, absl::Time now) {
  return absl::ToDoubleSeconds(now - absl::FromUnixMicros(time_us));
}

}  // namespace

WatchMetrics::WatchMetrics(prometheus::Registry& registry)
    : events_sent(metrics::AddCounter(registry, "coderd_watch_events_sent_total",
                                      "Events sent to watches, each watch counting for itself.")),
      bytes_sent(metrics::AddCounter(
          registry, "coderd_watch_bytes_sent_total",
          "Bytes of responses sent to watches before compression and framing. High "
          "for few events: clients take snapshots where they could resume.")),
      lag_(metrics::AddHistogram(
          registry, "coderd_watch_lag_seconds",
          "From an event's own time to its arrival in this process's ring, newest event "
          "of each pack. Above a second: the relay, NATS or the database is slow.",
          LagBuckets())),
      delivery_lag_(metrics::AddHistogram(
          registry, "coderd_watch_delivery_lag_seconds",
          "From an event's own time to the connection of a watch that had caught "
          "up, newest event of each response. Far above coderd_watch_lag_seconds: "
          "readers are slow or this process lacks processor time.",
          LagBuckets())),
      endings_(Endings(registry)),
      check_gaps_(metrics::AddCounter(
          registry, "coderd_watch_self_check_gaps_total",
          "Responses that would have left out an event. Not 0: a defect of this "
          "version; the watch was ended and resumes without loss. Report it.")),
      check_duplicates_(
          metrics::AddCounter(registry, "coderd_watch_self_check_duplicates_total",
                              "Responses that would have repeated an event. Not 0: a defect of "
                              "this version; the watch was ended. Report it.")),
      watchers_(Watchers(registry)),
      ring_floor_(
          metrics::AddGauge(registry, "coderd_watch_ring_floor_position",
                            "The oldest position in memory; older ones are read from the log.")),
      ring_head_(
          metrics::AddGauge(registry, "coderd_watch_ring_head_position",
                            "The newest position in memory. Behind the relay's head: see lag.")),
      follows_stream_(
          metrics::AddGauge(registry, "coderd_watch_follows_stream",
                            "1 while events come from the stream, 0 while the log is polled. 0 "
                            "for long: NATS is down or the stream in doubt; nothing is lost, "
                            "events come later.")),
      gaps_(metrics::AddGauge(
          registry, "coderd_watch_stream_gaps",
          "Holes in the stream since the start, each filled from the log. Rising: the "
          "stream loses messages or relays take turns.")),
      duplicates_(
          metrics::AddGauge(registry, "coderd_watch_stream_duplicates",
                            "Events the stream delivered again since the start; harmless.")),
      conflicts_(
          metrics::AddGauge(registry, "coderd_watch_stream_conflicts",
                            "Positions with two events since the start. Not 0: the log was changed "
                            "behind the relay's back; begin a new epoch.")),
      log_failures_(
          metrics::AddGauge(registry, "coderd_watch_log_failures",
                            "Reads of the log that failed since the start. Rising: see the "
                            "database.")) {}

void WatchMetrics::CountEnding(const std::string& reason) {
  const auto known = endings_.find(reason);
  (known == endings_.end() ? endings_.at("OTHER") : known->second)->Increment();
}

void WatchMetrics::CountCheck(Verdict verdict) {
  if (verdict == Verdict::kGap) check_gaps_.Increment();
  if (verdict == Verdict::kDuplicate) check_duplicates_.Increment();
}

void WatchMetrics::ObserveArrival(int64_t time_us, absl::Time now) {
  if (time_us != 0) lag_.Observe(SecondsSince(time_us, now));
}

void WatchMetrics::ObserveDelivery(int64_t time_us, absl::Time now) {
  if (time_us != 0) delivery_lag_.Observe(SecondsSince(time_us, now));
}

void WatchMetrics::Show(const fanout::Ring::Bounds& ring, const fanout::EventPump& pump) {
  const fanout::EventPump::Counters counters = pump.counters();
  ring_floor_.Set(static_cast<double>(ring.floor));
  ring_head_.Set(static_cast<double>(ring.head));
  follows_stream_.Set(pump.follows_stream() ? 1 : 0);
  gaps_.Set(static_cast<double>(counters.gaps));
  duplicates_.Set(static_cast<double>(counters.dropped_events));
  conflicts_.Set(static_cast<double>(counters.conflicts));
  log_failures_.Set(static_cast<double>(counters.log_failures));
}

void WatchMetrics::Show(const WatchCounts& watches) {
  for (const auto& [state, gauge] : watchers_) {
    const auto count = watches.find(state);
    gauge->Set(count == watches.end() ? 0 : count->second);
  }
}

}  // namespace coder::api
