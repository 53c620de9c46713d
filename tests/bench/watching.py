"""Benchmarks of the watch: events/s, memory of a watch, cost of idle ones."""

import statistics
import time

from deploy.local import ports
from tests.bench import rig, stats

# Both sides spread their streams over as many connections.
_CONNECTIONS = 10


class RawServer(rig.Program):
    """The baseline: a bare gRPC callback server that writes one shared buffer."""

    def __init__(self, events):
        super().__init__("raw_watch_server", f"--events={events}")
        self.address = f"{ports.HOST}:{self.result()['port']}"
        self.pid = self.process.pid


class _Flood:
    """Measures delivered events/s, from the first stream's opening to the last event's arrival."""

    def __init__(self):
        self._used = []

    def rate(self, server_pid, address, watches, events, *arguments, environment=None):
        """One sample."""
        before = rig.cpu_seconds(server_pid)
        with rig.Program("watch_client", f"--address={address}", f"--watches={watches}",
                         f"--connections={_CONNECTIONS}", f"--events={events}", *arguments,
                         environment=environment) as client:
            client.result()
            took = client.result()["seconds"]
        self._used.append((rig.cpu_seconds(server_pid) - before) / watches / events * 1e6)
        return watches * events / took

    def cpu(self):
        """The server's processor time for one delivered event, in microseconds."""
        return statistics.median(self._used)


def _watch_flood(options, api_flags, floor, goal, deliveries):
    ratios = []
    head = options.size(20_000)
    with rig.Rig(api_flags=api_flags) as local:
        local.fill(head)
        local.stop("pubsub-relay")
        token = local.environment(token=True)
        for watches in options.watches or (10, 100, 1000):
            events = min(head, options.size(deliveries) // watches)
            ratio = stats.Ratio(f"{watches} watches of {events} events", "events/s", floor, goal)

            raw, own = _Flood(), _Flood()

            def baseline():
                with RawServer(events) as server:
                    return raw.rate(server.pid, server.address, watches, events, "--check=same")

            def ours():
                return own.rate(local.pid("coderd-api"), local.address(), watches, events, f"--after={head - events}",
                                environment=token)

            options.pairs_of(ratio, ours, baseline)
            options.tell(f"{watches} watches: the server's processor time for one event is {own.cpu():.2f} µs, "
                         f"the baseline's {raw.cpu():.2f} µs")
            ratios.append(ratio)
    return ratios


def watch_one(options):
    """Delivered events/s with one event a message, by a bare gRPC callback server writing one shared buffer."""
    return _watch_flood(options, ("--watch-batch-bytes=1",), 0.7, 0.9, 200_000)


def watch_packed(options):
    """The same events with packing as shipped, by the same server with one event a message."""
    return _watch_flood(options, (), 3, 10, 200_000)


def _idle_bytes(pid, address, watches, connections, environment=None):
    """Bytes of the server's memory for each idle watch."""
    before = rig.resident_bytes(pid)
    with rig.Program("watch_client", f"--address={address}", f"--watches={watches}", f"--connections={connections}",
                     environment=environment) as client:
        client.result()
        # The last answers' buffers go back within a moment.
        time.sleep(1)
        held = rig.resident_bytes(pid) - before
        client.close_input()
        client.result()
    # A page at least: so few as a quick look opens may fit into memory held before.
    return max(held, 4096) / watches


def watch_memory(options):
    """Memory of an idle watch, by an idle stream of a bare gRPC server in the same topology."""
    found = []
    with rig.Rig() as local:
        token = local.environment(token=True)
        for name, watches, per_connection, floor, goal in (
                ("own connection", options.size(2000), 1, 50, 40), ("100 to a connection", options.size(10_000), 100, 25, 20)):
            ratio = stats.Ratio(f"{name}, {watches} watches", "KB/watch", 1.3, 1.1, at_least=False)
            bound = stats.Bound(f"{name}: KB of a watch", "KB", floor, goal)
            connections = max(1, watches // per_connection)

            def ours():
                # A server that has held so many before keeps their memory: each sample needs a new one.
                local.stop("coderd-api")
                local.start("coderd-api")
                rig_bytes = _idle_bytes(local.pid("coderd-api"), local.address(), watches, connections, token)
                bound.add(rig_bytes / 1024)
                return rig_bytes / 1024

            def baseline():
                with RawServer(0) as server:
                    return _idle_bytes(server.pid, server.address, watches, connections) / 1024

            options.pairs_of(ratio, ours, baseline)
            found += [ratio, bound]
    return found


def idle(options):
    """What 10,000 idle watches cost: the API's share of one processor, and the database's queries/s from everybody."""
    watches, seconds = options.size(10_000), 20 if options.full else 2
    cpu = stats.Bound(f"coderd-api with {watches} idle watches", "% of one processor", 5, 1)
    queries = stats.Bound("statements at PostgreSQL", "1/s", 5, 1)
    with rig.Rig() as local:
        token = local.environment(token=True)
        with rig.Program("watch_client", f"--address={local.address()}", f"--watches={watches}",
                         f"--connections={max(1, watches // 100)}", environment=token) as client:
            client.result()
            time.sleep(3)
            count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'coder'"
            for _ in range(options.pairs):
                used, asked = rig.cpu_seconds(local.pid("coderd-api")), int(local.sql(count))
                time.sleep(seconds)
                cpu.add((rig.cpu_seconds(local.pid("coderd-api")) - used) / seconds * 100)
                queries.add((int(local.sql(count)) - asked - 1) / seconds)
            client.close_input()
            client.result()
    return [cpu, queries]
