"""Every service is replaced, one instance after the other."""

import collections
import signal
import time

from deploy.local import services
from tests.drills import drill
from tests.faults import world as suite


class RollingUpgrade(drill.Drill):
    """Two instances of each service are replaced one after the other, and nobody notices."""

    name = "rolling-upgrade"
    spoilt = "SIGKILL instead of SIGTERM"
    minutes = 2
    kind = suite.Kind(relays=2, pairs=True)

    def run(self, world, notes, spoil):
        """SIGTERM, wait, start the new one, wait until it is ready; the API first, because the others call it."""
        drill.await_load(world)
        before = len(world.history())
        for service in services.NAMES:
            for name in [name for name, known in world.local.instances.items() if known == service]:
                self._replace(world, notes, name, signal.SIGKILL if spoil else signal.SIGTERM)
        drill.await_load(world)
        # Watches that end with their instance are told so.
        ended = collections.Counter(drill.endings(world.history(before)))
        notes.found("streams ended: " + ", ".join(f"{count} {code} {reason}".rstrip() for (code, reason), count in ended.items()))
        notes.hold(set(ended) <= {("UNAVAILABLE", "DRAINING")}, "a watch was to end with DRAINING alone")

    def _replace(self, world, notes, name, stop_signal):
        began = time.monotonic()
        status = world.drain(name, drill.GRACE_S, stop_signal)
        left_s = time.monotonic() - began
        notes.hold(status == 0, f"{name} was to leave with status 0 and left with {status}")
        world.restart(name)
        ready_s = time.monotonic() - began - left_s
        drill.await_load(world, drill.FLOWS // 4)
        caught_up_s = world.converge(f"{name} is replaced")
        notes.step(f"{name}: left after {left_s:.1f} s, the new one ready {ready_s:.1f} s later, watchers even with the "
                   f"tables after {caught_up_s:.2f} s")

    def judge(self, world, notes):
        """Calls, builds and events."""
        drill.hold_calls(world, notes)
        drill.hold_builds(world, notes)


DRILLS = [RollingUpgrade()]
