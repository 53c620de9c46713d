"""The stream loses, holds or is what it should not."""

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


class Foreign(_Broken):
    """Messages that are no packs lie in the stream."""

    name = "stream-poison"

    def _break(self, client):
        for payload in (b"", b"\xff" * 300, b"x" * 500_000):
            client.publish("build.events", payload)
        return "three messages that are no packs"


FAULTS = [Deleted(), Purged(), Recreated(), WrongConfig(), Full(), Foreign()]
