"""Benchmarks of the relay: how fast it drains, and what it costs the writers."""

import time

from tests.bench import rig, stats

_DRAINED = "coderd_relay_confirmed_position"


def relay_drain(options):
    """Events/s from committed outbox rows to acknowledged in the stream, by nats.c's async publish of the same events."""
    events = options.size(1_000_000)
    ratio = stats.Ratio("relay-drain", "events/s", 0.6, 1.0)
    with rig.Rig() as local:
        relay = local.environment(nats_user="pubsub-relay")
        reader = local.environment(nats_user="coderd-api")
        # The API would take part of the processors, which the baseline's side does not have to share.
        local.stop("coderd-api")

        def ours():
            local.stop("pubsub-relay")
            local.clear_log()
            local.write(events)
            # What a running database has done long before; the servers' own would fall into some samples only.
            local.sql("VACUUM (ANALYZE) outbox")
            began = time.monotonic()
            local.start("pubsub-relay")
            local.await_metric("pubsub-relay", _DRAINED, events)
            took = time.monotonic() - began
            rig.run("raw_stream", "--mode=check", f"--events={events}", environment=reader)
            local.stop("pubsub-relay")
            return events / took

        def baseline(in_flight):
            made = rig.run("raw_stream", "--mode=publish", f"--events={events}", f"--in-flight={in_flight}",
                           environment=relay)
            rig.run("raw_stream", "--mode=consume", f"--events={events}", environment=reader)
            return events / made["seconds"]

        # Tuned before it is compared: the better of two depths.
        depths = {depth: baseline(depth) for depth in (1024, 4096)}
        best = max(depths, key=depths.get)
        options.tell(f"baseline with {best} in flight: " +
                     ", ".join(f"{depth}: {rate:,.0f} events/s" for depth, rate in depths.items()))
        options.pairs_of(ratio, ours, lambda: baseline(best))
    return [ratio]
