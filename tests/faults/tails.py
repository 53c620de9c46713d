"""The stream loses its end, or there is no room for it."""

import shutil
import signal
import subprocess
import time

from tests.faults import nats_client, world as suite


def copy_store(world, target):
    """What power loss now would leave of nats-server's files: taken while it stands still."""
    world.send("nats", signal.SIGSTOP)
    try:
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(_store(world)), str(target)], check=True)
    finally:
        world.send("nats", signal.SIGCONT)


def put_store(world, source):
    """Kills nats-server and gives it files of an earlier time; it is not started."""
    world.kill("nats")
    shutil.rmtree(_store(world))
    shutil.move(str(source), str(_store(world)))


def _store(world):
    return world.local.data.path / "nats"


class TailCut:
    """The stream's last seconds are lost and filled in otherwise packed, while one coderd-api stands still."""

    name = "tail-cut"
    wanted = 50

    def run(self, world, random):
        """One round; returns what was done."""
        copy = world.folder / "nats-copy"
        copy_store(world, copy)
        lost_s = min(60.0, random.expovariate(1 / 6))
        time.sleep(lost_s)
        frozen = random.choice(world.apis())
        world.send(frozen, signal.SIGSTOP)
        try:
            world.kill("pubsub-relay")
            put_store(world, copy)
            world.start_server("nats")
            # What follows comes at other sequences than before, in packs of other sizes.
            shift = random.randint(0, 3)
            with nats_client.Client(world.local) as client:
                for _ in range(shift):
                    client.publish("build.events", b"no pack")
            world.flags["pubsub-relay"] = world.flags["pubsub-relay"][:1] + [f"--max-events={random.choice([64, 100, 2048])}"]
            world.restart("pubsub-relay")
            time.sleep(random.uniform(0.2, 2))
        finally:
            world.send(frozen, signal.SIGCONT)
        return f"by {lost_s:.1f} s, moved by {shift} messages, {frozen} frozen across the refill"


class NoRoom:
    """Other streams use up all of JetStream's max_file, then go away."""

    name = "max-file"
    wanted = 10

    _FILLER = "FILLER"

    def run(self, world, random):
        """One round; returns what was done."""
        full_s = random.uniform(2, 5)
        with nats_client.Client(world.local, user=suite.FILLER) as client:
            client.ask(f"$JS.API.STREAM.CREATE.{self._FILLER}", name=self._FILLER, subjects=["filler"], storage="file")
            try:
                stored = self._fill(client)
                time.sleep(full_s)
            finally:
                client.ask(f"$JS.API.STREAM.DELETE.{self._FILLER}")
        return f"{stored} MB of others, no room for {full_s:.1f} s"

    def _fill(self, client):
        for stored in range(2 * suite.MAX_FILE // 1_000_000):
            answer = client.publish("filler", b"x" * 1_000_000)
            if "error" in answer:
                return stored
        raise AssertionError("nats-server takes more than its max_file")


FAULTS = [TailCut(), NoRoom()]
