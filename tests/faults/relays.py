"""Two relays at once, one of them frozen, and a bad way between relay and stream."""

import signal
import time


class Frozen:
    """One of two relays stands still in the midst of its work and goes on later."""

    name = "relay-frozen"
    wanted = 50
    relays = 2

    def run(self, world, random):
        """One round; returns what was done."""
        name = random.choice(world.relays())
        frozen_s = random.choice([2, 6, 12])
        world.send(name, signal.SIGSTOP)
        try:
            time.sleep(frozen_s)
        finally:
            world.send(name, signal.SIGCONT)
        return f"{name} for {frozen_s} s"

    def check(self, world):
        """What is wrong with the stream that both relays write."""
        return world.stream_order.look(world.local)


class _Way:
    wanted = 50
    _LENGTHS_S = [1, 5]

    def run(self, world, random):
        """One round; returns what was done."""
        length_s = random.choice(self._LENGTHS_S)
        try:
            self._spoil(world.stream_way, random)
            time.sleep(length_s)
        finally:
            world.stream_way.heal()
        return f"for {length_s} s"


class Cut(_Way):
    """Relay and stream cannot reach each other."""

    name = "relay-nats-cut"

    def _spoil(self, way, random):
        way.cut()


class Delayed(_Way):
    """Every piece between relay and stream is late."""

    name = "relay-nats-delayed"

    def _spoil(self, way, random):
        way.delay(random.choice([0.05, 0.2]))


class OneWay(_Way):
    """What the relay sends arrives and no answer comes back, or the other way round."""

    name = "relay-nats-one-way"

    def _spoil(self, way, random):
        way.shut(random.choice(["there", "back"]))


FAULTS = [Cut(), Delayed(), OneWay(), Frozen()]
