"""PostgreSQL goes back to an earlier point, as after a restore from a backup."""

import os
import shutil
import signal
import subprocess
import time

from deploy.local import postgres, services
from tests.faults import tails

_CLUSTER = "postgres"


class _Restored:
    wanted = 10
    sets_back = True

    def run(self, world, random):
        """One round; returns what was done."""
        self._before_backup(world, random)
        cluster = world.local.data.path / _CLUSTER
        backup = world.folder / "backup"
        self._stopped(world, lambda: _copy(cluster, backup))
        since_s = random.uniform(0.5, 2)
        time.sleep(since_s)
        self._before_restore(world)
        self._stopped(world, lambda: (shutil.rmtree(cluster), _copy(backup, cluster)))
        shutil.rmtree(backup)
        self._after_restore(world)
        return f"by about {since_s:.1f} s"

    def _stopped(self, world, work):
        world.local.processes.stop(postgres.NAME, signal.SIGINT)
        work()
        world.start_server(postgres.NAME)

    def _before_backup(self, world, random):
        pass

    def _before_restore(self, world):
        pass

    def _after_restore(self, world):
        pass


def _copy(source, target):
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


class StreamAhead(_Restored):
    """The stream holds what the restored database never heard of: the relay finds out by itself."""

    name = "restore-stream-ahead"


class StreamLost(_Restored):
    """The stream is lost as well; `coderd-api new-epoch` is a step of the restore."""

    name = "restore-stream-lost"

    def _before_restore(self, world):
        world.kill("nats")
        shutil.rmtree(world.local.data.path / "nats", ignore_errors=True)

    def _after_restore(self, world):
        _new_epoch(world)
        world.start_server("nats")


class StreamBehind(_Restored):
    """The stream is of a time before the backup; `coderd-api new-epoch` is a step of the restore."""

    name = "restore-stream-behind"

    def _before_backup(self, world, random):
        self._copy = world.folder / "nats-copy"
        tails.copy_store(world, self._copy)
        time.sleep(random.uniform(0.5, 2))

    def _before_restore(self, world):
        tails.put_store(world, self._copy)

    def _after_restore(self, world):
        _new_epoch(world)
        world.start_server("nats")


def _new_epoch(world):
    environment = dict(os.environ, CODER_POSTGRES_URL=world.local.postgres.url(postgres.OWNER))
    done = subprocess.run([str(services.program("coderd-api")), "new-epoch"], env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise AssertionError(f"new-epoch: {done.stderr}")


FAULTS = [StreamAhead(), StreamBehind(), StreamLost()]
