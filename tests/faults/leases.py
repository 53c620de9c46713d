"""Leases that run out although nobody died: a provisioner stands still, or all it reports to is away."""

import signal
import time

from deploy.local import postgres
from tests.faults import board, world as suite

_REAPED = "SELECT count(*) FROM provisioner_jobs WHERE error_code = 'LEASE_EXPIRED'"
_LATE = ("SELECT u.username || '/' || w.name FROM workspace_builds b JOIN workspaces w ON w.id = b.workspace_id "
         "JOIN users u ON u.id = w.owner_id WHERE b.late_state IS NOT NULL AND b.late_state_resolution IS NULL")


def _reaped(world):
    return int(world.query(_REAPED)[0][0])


def dismiss_late_states(world):
    """As an administrator would, so that the workspaces can be built again."""
    for name, in world.query(_LATE):
        world.run_coderctl("resolve-state", name, "--dismiss")


class FrozenProvisioner:
    """provisionerd stands still with a result in its hand until its jobs are ended, then reports it."""

    name = "provisionerd-frozen"
    wanted = 20

    _POINT = "provisionerd.before_report"

    def points(self):
        """The failpoints this fault has to reach."""
        return [self._POINT]

    def run(self, world, random):
        """One round; returns what was done."""
        what = world.boards["provisionerd"]
        what.arm(self._POINT, board.HOLD, random.randint(1, 4), millis=1000)
        suite.wait_for("a result is ready", lambda: not what.is_armed(self._POINT), suite.CONVERGES_S)
        before = _reaped(world)
        world.send("provisionerd", signal.SIGSTOP)
        try:
            suite.wait_for("the jobs are ended", lambda: _reaped(world) > before, 4 * suite.LEASE_S)
        finally:
            world.send("provisionerd", signal.SIGCONT)
        # So long takes the rest of the hold, and what engines leave behind to arrive.
        time.sleep(2)
        dismiss_late_states(world)
        return f"until {_reaped(world) - before} jobs were ended"


class Outage:
    """PostgreSQL and every coderd-api are away for two minutes under running builds; none is reaped."""

    name = "outage"
    wanted = 5

    _AWAY_S = 120
    # It is under way at both ends of the outage.
    _BUILD_S = _AWAY_S + 20
    _TEMPLATE = "long"

    def run(self, world, random):
        """One round; returns what was done."""
        builds = self._begin_builds(world, [f"long-{random.getrandbits(32):08x}" for _ in range(2)])
        before = _reaped(world)
        for name in world.apis():
            world.kill(name)
        world.local.processes.stop(postgres.NAME, signal.SIGQUIT)
        time.sleep(self._AWAY_S)
        world.start_server(postgres.NAME)
        for name in world.apis():
            world.restart(name)
        ended = f"SELECT j.status, j.error_code FROM provisioner_jobs j JOIN workspace_builds b ON b.job_id = j.id " \
                f"WHERE b.id IN ({builds}) AND j.completed_at IS NOT NULL"
        suite.wait_for("the long builds end", lambda: len(world.query(ended)) == 2, self._BUILD_S)
        outcomes = world.query(ended)
        reaped = _reaped(world) - before
        if reaped or [status for status, _ in outcomes if status != "succeeded"]:
            raise AssertionError(f"NoneReaped: {reaped} jobs were reaped; the long builds: {outcomes}")
        return f"for {self._AWAY_S} s, two builds went on and succeeded"

    def _begin_builds(self, world, names):
        if not world.query(f"SELECT 1 FROM templates WHERE name = '{self._TEMPLATE}'"):
            world.push_template(self._TEMPLATE, {"start": {"delay_ms": self._BUILD_S * 1000}})
        for name in names:
            world.run_coderctl("create", name, "--template", self._TEMPLATE, "--no-wait")
        chosen = ", ".join(f"'{name}'" for name in names)
        running = f"SELECT b.id FROM workspace_builds b JOIN workspaces w ON w.id = b.workspace_id " \
                  f"JOIN provisioner_jobs j ON j.id = b.job_id WHERE w.name IN ({chosen}) AND j.status = 'running'"
        suite.wait_for("the long builds run", lambda: len(world.query(running)) == len(names), suite.CONVERGES_S)
        return ", ".join(f"'{build}'" for build, in world.query(running))


FAULTS = [FrozenProvisioner(), Outage()]
