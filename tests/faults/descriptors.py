"""A process that can open nothing more: no connection, no file."""

import os
import resource
import socket
import time

from deploy.local import ports, services


class Exhausted:
    """A service's descriptors are used up for some seconds, with its connections cut, then released."""

    wanted = 3

    # Three looks at its own listener, and what is under way then.
    _NOTICES_WITHIN_S = 12

    def __init__(self, service):
        self.__doc__ = f"{service} has no descriptor left for some seconds while its connections end, then has."
        self.name = f"descriptors-{service}"
        self._service = service

    def run(self, world, random):
        """One round; returns what was done."""
        pid = world.pid(self._service)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        lasts_s = random.uniform(3, 8)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
        visitors = []
        try:
            for way in world.proxies:
                way.drop_all()
            # They take what has a number below the limit and is free.
            until = time.monotonic() + lasts_s
            while time.monotonic() < until:
                visitors += [self._visit(port) for port in self._ports(world)]
                time.sleep(0.02)
        finally:
            if world.pid(self._service) == pid:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            for visitor in visitors:
                visitor.close()
        # It may find only later that nobody can reach it any more.
        until = time.monotonic() + self._NOTICES_WITHIN_S
        while time.monotonic() < until:
            world.supervise()
            time.sleep(0.2)
        return f"for {lasts_s:.1f} s"

    def _ports(self, world):
        return [port for name, port in world.local.ports.items() if name.startswith(self._service + " ")]

    def _visit(self, port):
        visitor = socket.socket()
        visitor.setblocking(False)
        visitor.connect_ex((ports.HOST, port))
        return visitor


FAULTS = [Exhausted(name) for name in services.NAMES]
