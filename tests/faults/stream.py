"""The stream loses, holds or is what it should not."""

import signal
import time

from tests.faults import nats_client, world


def _config(client):
    """The stream's settings, as soon as there is a stream: the relay makes it when it next publishes."""
    return world.wait_for("there is a stream", lambda: client.stream("INFO").get("config"), world.CONVERGES_S)


class _Broken:
    wanted = 20

    def run(self, world, random):
        """One round; returns what was done."""
        time.sleep(random.uniform(0, 0.5))
        with nats_client.Client(world.local) as client:
            return self._break(client)


class Deleted(_Broken):
    """Somebody deletes the stream."""

    name = "stream-deleted"

    def _break(self, client):
        client.stream("DELETE")
        return "deleted"


class Purged(_Broken):
    """Somebody purges the stream."""

    name = "stream-purged"

    def _break(self, client):
        client.stream("PURGE")
        return "purged"


class Recreated(_Broken):
    """The stream is deleted and made again, empty."""

    name = "stream-recreated"

    def _break(self, client):
        config = _config(client)
        client.stream("DELETE")
        client.stream("CREATE", **config)
        return "deleted and created"


class WrongConfig(_Broken):
    """The stream is made again with settings that lose what the relay publishes."""

    name = "stream-wrong-config"

    def _break(self, client):
        config = _config(client)
        client.stream("DELETE")
        client.stream("CREATE", **dict(config, max_msgs=1, discard="new"))
        return "made with room for one message"


class Full(_Broken):
    """The stream takes no message more, as with a full disk, for two seconds."""

    name = "stream-full"
    wanted = 10

    def _break(self, client):
        config = _config(client)
        client.stream("UPDATE", **dict(config, max_bytes=1, discard="new"))
        time.sleep(2)
        client.stream("UPDATE", **config)
        return "full for 2 s"


class Poison:
    """Messages that are no packs, packs out of order and one nobody wrote lie in the stream."""

    name = "stream-poison"
    wanted = 20

    _FAR = 10**12

    def run(self, world, random):
        """One round; returns what was done."""
        relay = world.relays()[0]
        # It would take a foreign pack at the stream's very end for proof that the database went back.
        world.send(relay, signal.SIGSTOP)
        try:
            with nats_client.Client(world.local) as client:
                self._write_far(client)
                repeated = self._repeat(client, random)
                for payload in (b"", b"\xff" * 300, b"x" * 500_000):
                    client.publish("build.events", payload)
        finally:
            world.send(relay, signal.SIGCONT)
        return f"a pack of a far position, {repeated} packs again, three messages that are no packs"

    def _write_far(self, client):
        headers = {"Epoch": 1, "First-Position": self._FAR, "Last-Position": self._FAR, "Last-Event-Id": self._FAR}
        client.publish_with("build.events", headers, b"\x0a\x02no")

    def _repeat(self, client, random):
        state = client.stream("INFO").get("state", {})
        known = range(state.get("first_seq", 1), state.get("last_seq", 0))
        packs = [client.message_at(sequence) for sequence in random.sample(known, min(5, len(known)))]
        packs = [(headers, payload) for headers, payload in packs if headers.get("First-Position", str(self._FAR)) != str(self._FAR)]
        for headers, payload in packs:
            # The relay's fence would refuse it.
            headers.pop("Nats-Expected-Last-Sequence", None)
            client.publish_with("build.events", headers, payload)
        return len(packs)


FAULTS = [Deleted(), Purged(), Recreated(), WrongConfig(), Full(), Poison()]
