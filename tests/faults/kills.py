"""Processes that die as if the power went: at a step of theirs, or at any moment."""

import time

from tests.faults import board

_POINT_WAIT_S = 1.5


class KillAtStep:
    """kill -9 of a service at one of its step boundaries, again and again at another."""

    def __init__(self, service, wanted):
        self.__doc__ = f"kill -9 of {service} at one of its step boundaries."
        self.name = f"kill-{service}"
        self.wanted = wanted
        self._service = service

    def points(self):
        """The failpoints this fault has to reach."""
        return board.POINTS[self._service]

    def run(self, world, random):
        """One round; returns what was done."""
        victims = [name for name, service in world.local.instances.items() if service == self._service]
        victim = random.choice(victims)
        point = random.choice(board.POINTS[self._service])
        hits_to = random.randint(1, 6)
        what = world.boards[victim]
        what.arm(point, board.KILL, hits_to)
        deadline = time.monotonic() + _POINT_WAIT_S
        while world.pid(victim) and time.monotonic() < deadline:
            time.sleep(0.02)
        died_there = not what.is_armed(point)
        if not died_there:
            # A step of the start or of a rare turn: whoever starts next reaches it, or nobody this time.
            what.arm(point, board.KILL, 1)
            world.kill(victim)
        world.restart(victim)
        died_there = died_there or not what.is_armed(point)
        what.disarm(point)
        return f"{victim} at {point}" + (f", hit {hits_to}" if died_there else ", not reached: at any moment")


class KillNats:
    """kill -9 of nats-server, back after up to a second."""

    name = "kill-nats"
    wanted = 100

    def run(self, world, random):
        """One round; returns what was done."""
        away_s = random.choice([0, 0.2, 1])
        world.kill("nats")
        time.sleep(away_s)
        world.start_server("nats")
        return f"away for {away_s} s"


class NatsAway:
    """nats-server is away, and watchers go on all the same."""

    name = "nats-away"
    wanted = 20

    def run(self, world, random):
        """One round; returns what was done."""
        world.kill("nats")
        try:
            time.sleep(random.uniform(0.5, 2))
            took_s = world.converge("while nats-server is away")
        finally:
            world.start_server("nats")
        return f"caught up after {took_s:.2f} s without it"


class KillAll:
    """kill -9 of all four services at once."""

    name = "kill-all"
    wanted = 20

    def run(self, world, random):
        """One round; returns what was done."""
        names = list(world.local.instances)
        random.shuffle(names)
        for name in names:
            world.kill(name)
        for name in sorted(names, key=lambda name: name not in world.apis()):
            world.restart(name)
        return "started again, the API first"


FAULTS = [KillAtStep("pubsub-relay", 200), KillAtStep("coderd-api", 200), KillNats(), NatsAway(), KillAtStep("provisionerd", 50),
          KillAtStep("autostart-scheduler", 50), KillAll()]
