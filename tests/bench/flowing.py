"""Benchmarks of the whole way: from commit to watcher, beside writers, beside readers that stall, from history."""

import contextlib

from deploy.local import ports, postgres
from tests.bench import rig, stats, watching

_RATE = 1000
_STREAM_HEAD = "coderd_watch_ring_head_position"


@contextlib.contextmanager
def _watched(local, address, watches, events, *arguments, token=None):
    """A client that has its streams open, and the file of the commits it compares arrivals with."""
    commits = local.folder / "commits"
    with rig.Program("watch_client", f"--address={address}", f"--watches={watches}", "--connections=10",
                     f"--events={events}", f"--commits={commits}", *arguments, environment=token) as client:
        client.result()
        yield client, commits


def _write_paced(local, first, events, commits, rate=_RATE):
    environment = local.environment(postgres_role="coder_api", nats_user="coderd-api")
    rig.run("write_events", "--mode=paced", f"--first={first}", f"--events={events}", f"--rate={rate}",
            f"--commits={commits}", environment=environment)


def _delays(client):
    client.close_input()
    found = client.result()
    return found["p50"] * 1000, found["p99"] * 1000


def _ours(local, watches, events, *arguments, rate=_RATE, during=None):
    """p50 and p99 in ms from commit to each watcher, and what `during` says before the streams close."""
    with _watched(local, local.address(), watches, events, *arguments,
                  token=local.environment(token=True)) as (client, commits):
        _write_paced(local, local.written, events, commits, rate)
        local.written += events
        told = during() if during else None
        return *_delays(client), told


def _raw_chain(local, watches, events):
    """The same of the bare chain; the services must be stopped."""
    local.sql("DROP TABLE IF EXISTS bench_cursor, bench_log; CREATE TABLE bench_cursor AS SELECT 0::bigint AS head; "
              "CREATE TABLE bench_log (position bigint PRIMARY KEY, payload bytea)")
    rig.run("raw_stream", "--mode=purge", environment=local.environment(nats_user="pubsub-relay"))
    relay = local.environment(postgres_role=postgres.OWNER, nats_user="pubsub-relay")
    with rig.Program("raw_chain", "--mode=relay", environment=relay) as mover, \
            rig.Program("raw_chain", "--mode=serve", environment=local.environment(nats_user="coderd-api")) as server:
        mover.result()
        address = f"{ports.HOST}:{server.result()['port']}"
        with _watched(local, address, watches, events) as (client, commits):
            _write_paced(local, 0, events, commits)
            found = _delays(client)
    rig.run("raw_stream", "--mode=purge", environment=local.environment(nats_user="pubsub-relay"))
    return found


def _start_services(local):
    local.start("pubsub-relay")
    local.start("coderd-api")
    local.await_metric("coderd-api", _STREAM_HEAD, local.written)


def _stop_services(local):
    local.stop("coderd-api")
    local.stop("pubsub-relay")


def end_to_end(options):
    """ms from commit to watcher, 100 watchers, 1,000 events/s, by a bare chain that moves one event at a time."""
    watches, events = options.size(100), options.size(6000)
    p50 = stats.Ratio("p50", "ms", 2, 1.1, at_least=False)
    p99 = stats.Ratio("p99", "ms", 2, 1.0, at_least=False)
    with rig.Rig() as local:

        def ours():
            _start_services(local)
            found = _ours(local, watches, events)
            return found[:2]

        def baseline():
            _stop_services(local)
            return _raw_chain(local, watches, events)

        options.pairs_of_both((p50, p99), ours, baseline)
    return [p50, p99]


def relay_tax(options):
    """Build transactions/s of 16 sessions with the relay running, by the same with it stopped."""
    seconds = 6 if options.full else 1
    ratio = stats.Ratio("relay-tax", "transactions/s", 0.85, 0.95)
    with rig.Rig() as local:
        local.stop("coderd-api")
        local.sql("CREATE TABLE bench_workspaces (id uuid PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 50); "
                  "INSERT INTO bench_workspaces SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 0 "
                  "FROM generate_series(0, 99) i; "
                  "CREATE TABLE bench_jobs (id bigserial PRIMARY KEY, workspace_id uuid, status int); "
                  "CREATE TABLE bench_builds (id bigserial PRIMARY KEY, workspace_id uuid, number bigint, "
                  "UNIQUE (workspace_id, number))")
        environment = local.environment(postgres_role=postgres.OWNER, nats_user="coderd-api")

        def committed():
            made = rig.run("write_builds", "--clients=16", f"--seconds={seconds}", environment=environment)
            local.written += made["events"]
            return made["events"] / made["seconds"]

        def relayed():
            local.await_metric("pubsub-relay", "coderd_relay_confirmed_position", local.written)
            local.sql("TRUNCATE bench_jobs, bench_builds; VACUUM bench_workspaces, outbox")

        def ours():
            local.start("pubsub-relay")
            rate = committed()
            relayed()
            return rate

        def baseline():
            local.stop("pubsub-relay")
            rate = committed()
            local.start("pubsub-relay")
            relayed()
            return rate

        options.pairs_of(ratio, ours, baseline)
    return [ratio]


def slow_watchers(options):
    """p99 in ms of 10 healthy watchers beside 1,000 that never read, by the same without them; memory of each."""
    stalled, events = options.size(1000), options.size(6000)
    ratio = stats.Ratio("healthy p99", "ms", 1.5, 1.2, at_least=False)
    bound = stats.Bound("memory of a stalled reader", "KB", 256, 64)
    with rig.Rig() as local:
        def measure(*arguments):
            # Memory once held is not given back: each measurement needs a new process.
            local.stop("coderd-api")
            local.start("coderd-api")
            local.await_metric("coderd-api", _STREAM_HEAD, local.written)
            before = rig.resident_bytes(local.pid("coderd-api"))
            held = lambda: rig.resident_bytes(local.pid("coderd-api")) - before
            return _ours(local, 10, events, *arguments, during=held)

        alone = []

        def baseline():
            _, p99, held = measure()
            alone.append(held)
            return p99

        def ours():
            _, p99, held = measure(f"--stalled={stalled}")
            bound.add((held - (alone[-1] if alone else 0)) / stalled / 1024)
            return p99

        options.pairs_of(ratio, ours, baseline)
    return [ratio, bound]


def replay(options):
    """Events/s of a history from the log to one watcher, by a raw ordered consumer of one-event messages."""
    events = options.size(1_000_000)
    ratio = stats.Ratio("replay", "events/s", 0.5, 1.0)
    with rig.Rig() as local:
        local.fill(events)
        _stop_services(local)
        rig.run("raw_stream", "--mode=publish", f"--events={events}",
                environment=local.environment(nats_user="pubsub-relay"))
        local.start("coderd-api")
        token = local.environment(token=True)
        reader = local.environment(nats_user="coderd-api")

        def ours():
            with rig.Program("watch_client", f"--address={local.address()}", f"--events={events}", "--after=0",
                             environment=token) as client:
                client.result()
                return events / client.result()["seconds"]

        def baseline():
            made = rig.run("raw_stream", "--mode=consume", f"--events={events}", environment=reader)
            return events / made["seconds"]

        options.pairs_of(ratio, ours, baseline)
    return [ratio]


def reconnect(options):
    """Seconds until 10,000 watches that resume at once, up to 100,000 events back, have caught up at an API that has
    just started, by a bare gRPC server that opens as many streams; and what they ask of the database."""
    watches, oldest, ring = options.size(10_000), options.size(100_000), 65_536
    ratio = stats.Ratio("all caught up", "s", 3, 1.5, at_least=False)
    asked = stats.Bound("database sessions taken when every token is in the ring", "", 100, 0)
    connections = max(1, watches // 100)
    storm = (f"--watches={watches}", f"--connections={connections}")
    with rig.Rig() as local:
        local.fill(oldest)
        local.stop("pubsub-relay")
        token = local.environment(token=True)

        def caught_up(*arguments, environment=None):
            with rig.Program("watch_client", *storm, *arguments, environment=environment) as client:
                client.result()
                return client.result()["seconds"]

        def resume(furthest):
            local.stop("coderd-api")
            local.start("coderd-api")
            local.await_metric("coderd-api", _STREAM_HEAD, oldest)
            before = local.metric("coderd-api", "coderd_database_acquires_total")
            took = caught_up(f"--address={local.address()}", f"--head={oldest}", f"--oldest={furthest}",
                             environment=token)
            return took, local.metric("coderd-api", "coderd_database_acquires_total") - before

        def ours():
            asked.add(resume(min(oldest, ring) // 2)[1])
            return resume(oldest)[0]

        def baseline():
            with watching.RawServer(0) as server:
                return caught_up(f"--address={server.address}", "--check=same", "--head=0", "--oldest=0")

        options.pairs_of(ratio, ours, baseline)
    return [ratio, asked]
