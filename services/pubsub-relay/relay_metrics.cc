#include "services/pubsub-relay/relay_metrics.h"

#include "libs/metrics/single.h"

namespace coder::relay {

RelayMetrics::RelayMetrics(prometheus::Registry& registry)
    : sequenced(metrics::AddCounter(
          registry, "coderd_relay_sequenced_events_total",
          "Events this relay gave a position. All relays standing still while the "
          "outbox grows: they cannot write to the database.")),
      sequence_lag(prometheus::BuildHistogram()
                       .Name("coderd_relay_sequence_lag_seconds")
                       .Help("From an event's entry into the outbox to its position in the log, by "
                             "the database's clock, oldest event of each pack. Above a second "
                             "while the outbox is small: pokes are lost, or a transaction was open "
                             "for as long.")
                       .Register(registry)
                       .Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01,
                                                                        0.025, 0.05, 0.1, 0.25, 0.5,
                                                                        1, 2.5, 5, 10, 30})),
      published(metrics::AddCounter(
          registry, "coderd_relay_published_events_total",
          "Events the stream acknowledged, counting those sent again. Behind the "
          "sequenced ones for long: watchers live on the log alone.")),
      rewinds(metrics::AddCounter(
          registry, "coderd_relay_rewinds_total",
          "How often the stream was compared with the log anew. More than a few an hour: "
          "the connection to NATS is unstable or two relays fight.")),
      refusals(metrics::AddCounter(
          registry, "coderd_relay_publish_refusals_total",
          "Runs of publishing that the stream ended. Rising steadily: read the relay's "
          "log for the server's reason.")),
      repairs(metrics::AddCounter(
          registry, "coderd_relay_stream_repairs_total",
          "How often the stream had to be made or its settings put right. More than once "
          "after installation: something else changes it.")),
      epochs_begun(metrics::AddCounter(
          registry, "coderd_relay_epochs_begun_total",
          "How often the database was found to have gone back in time. Any rise: it "
          "was restored or failed over with loss; every watcher takes a snapshot.")),
      stream_up(metrics::AddGauge(
          registry, "coderd_relay_stream_up",
          "1 while the stream takes what is published, else 0. 0: watchers get events "
          "with the delay of polling; nothing is lost.")),
      epoch(metrics::AddGauge(registry, "coderd_relay_epoch",
                              "The epoch of the log; see epochs_begun.")),
      head(metrics::AddGauge(registry, "coderd_relay_head_position",
                             "The last position given out.")),
      confirmed(metrics::AddGauge(
          registry, "coderd_relay_confirmed_position",
          "The last position the stream acknowledged. Far below the head: the stream "
          "is behind.")),
      log_floor(
          metrics::AddGauge(registry, "coderd_relay_log_floor_position",
                            "The oldest position of the log. Resume tokens below it are too old.")),
      outbox_rows(
          metrics::AddGauge(registry, "coderd_relay_outbox_rows",
                            "Committed events that wait for a position. Above a few thousand for a "
                            "minute: the relay cannot keep up or stands.")),
      outbox_oldest_seconds(
          metrics::AddGauge(registry, "coderd_relay_outbox_oldest_seconds",
                            "Age of the oldest of them. Above 5: watchers are late by as "
                            "much.")),
      late_partitions(metrics::AddCounter(
          registry, "coderd_relay_late_partitions_total",
          "Partitions of the log that were missing although they are made far "
          "ahead. Any rise after the start: events come faster than planned, or "
          "housekeeping stood.")) {}

}  // namespace coder::relay
