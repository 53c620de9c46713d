"""nats-server and all it kept are lost."""

import shutil
import signal
import time

from deploy.local import nats, processes
from tests.drills import drill
from tests.faults import nats_client, world as suite

_HEAD = "SELECT head FROM relay_cursor"
_REFILLED_WITHIN_S = 20


class NatsRebuilt(drill.Drill):
    """nats-server and its store are lost and made anew, empty: the relay fills the stream from the log."""

    name = "nats-rebuilt"
    spoilt = "no relay that works"
    kind = suite.Kind(relays=2)
    template = {"start": {"delay_ms": 60, "log": ["one", "two"]}, "stop": {"delay_ms": 30, "log": ["one"]}}

    def run(self, world, notes, spoil):
        """Lose it, see the watches go on from the log, start an empty one, see it filled."""
        drill.await_load(world, 2 * drill.FLOWS)
        before = len(world.history())
        head = int(world.query(_HEAD)[0][0])
        world.kill("nats")
        shutil.rmtree(world.local.data.path / nats.NAME)
        notes.step(f"nats-server is gone, and with it the stream of {head} events")
        drill.await_load(world)
        caught_up_s = world.converge("while there is no nats-server")
        notes.found(f"without it watchers are even with the tables after {caught_up_s:.2f} s")
        unready = [name for name in world.local.instances
                   if not processes.answers_http(world.local.ports[f"{name} admin"], "/readyz")]
        notes.found(f"/readyz is not 200 at {', '.join(unready) or 'none'}")
        for name in world.relays() if spoil else ():
            world.send(name, signal.SIGSTOP)
        world.start_server(nats.NAME)
        began = time.monotonic()
        held = suite.wait_for("the stream holds the whole log again", lambda: self._refilled(world), _REFILLED_WITHIN_S)
        notes.step(f"an empty nats-server is up; {held[1]} events in {held[0]} messages are in the stream again after "
                   f"{time.monotonic() - began:.1f} s")
        drill.await_load(world)
        notes.found(f"watchers are even with the tables after {world.converge('nats-server is back'):.2f} s")
        ended = drill.endings(world.history(before))
        notes.hold(not ended, f"watches ended: {ended[:3]}; none was to")

    def _refilled(self, world):
        """(messages, events) once the stream holds every position from the first to the log's head of now, else None."""
        head = int(world.query(_HEAD)[0][0])
        try:
            with nats_client.Client(world.local) as client:
                state = client.stream("INFO").get("state", {})
                known = [client.headers_at(sequence) for sequence in range(state.get("first_seq", 1), state.get("last_seq", 0) + 1)]
        except (OSError, KeyError):
            return None
        position = 0
        for headers in known:
            if int(headers["First-Position"]) != position + 1:
                raise AssertionError(f"the stream goes from position {position} on to {headers['First-Position']}")
            position = int(headers["Last-Position"])
        return (len(known), position) if position >= head else None

    def judge(self, world, notes):
        """No call had to know of it."""
        drill.hold_calls(world, notes)
        notes.hold(world.count("retry") == 0, f"{world.count('retry')} calls had to be repeated; none was to")
        drill.hold_builds(world, notes)


DRILLS = [NatsRebuilt()]
