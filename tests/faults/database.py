"""Trouble with PostgreSQL and with the way to it."""

import signal
import time

from deploy.local import postgres


class ImmediateRestart:
    """PostgreSQL ends without a word to anybody and recovers from its log."""

    name = "postgres-immediate"
    wanted = 100

    def run(self, world, random):
        """One round; returns what was done."""
        away_s = random.choice([0, 0.5])
        world.local.processes.stop(postgres.NAME, signal.SIGQUIT)
        time.sleep(away_s)
        world.start_server(postgres.NAME)
        return f"away for {away_s} s"


class BackendsTerminated:
    """Sessions of the services are ended, five a second."""

    name = "backends-terminated"
    wanted = 100

    _ONE = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename IN ('coder_api', 'coder_relay') ORDER BY random() LIMIT 1")

    def run(self, world, random):
        """One round; returns what was done."""
        for _ in range(10):
            world.query(self._ONE, role="postgres")
            time.sleep(0.2)
        return "10 sessions in about 2 s"


class CommitCut:
    """The API's connections end while answers to COMMIT are under way: what was committed is not known."""

    name = "commit-cut"
    wanted = 200

    def run(self, world, random):
        """One round; returns what was done."""
        # Nothing comes back any more while statements still arrive; then the connections end.
        for _ in range(3):
            world.database_way.shut("back")
            time.sleep(random.uniform(0.02, 0.2))
            world.database_way.drop_all()
            world.database_way.heal()
            time.sleep(0.2)
        return "3 times"


FAULTS = [ImmediateRestart(), BackendsTerminated(), CommitCut()]
