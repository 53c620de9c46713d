"""A TCP way between two parties that can be cut, held up, or closed in one direction."""

import select
import socket
import threading
import time

OPEN, CUT = "open", "cut"


class Proxy:
    """Passes bytes to a loopback port; threads of its own."""

    def __init__(self, target):
        self._target = target
        self._state = OPEN
        self._directions = {"there": True, "back": True}
        self._delay_s = 0.0
        self._pairs = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._state == CUT:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._pairs.add((client, server))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client, server):
        try:
            while True:
                # A direction that is shut is not read: what was sent waits, as behind a dead route.
                sources = [end for end, way in ((client, "there"), (server, "back")) if self._directions[way]]
                ready, _, _ = select.select(sources, [], [], 0.05)
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    if self._delay_s:
                        time.sleep(self._delay_s)
                    (server if end is client else client).sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            self._drop(client, server)

    def _drop(self, client, server):
        with self._lock:
            self._pairs.discard((client, server))
        for end in (client, server):
            end.close()

    def cut(self):
        """Ends every connection and refuses new ones."""
        self._state = CUT
        self.drop_all()

    def drop_all(self):
        """Ends every connection; new ones pass."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def shut(self, way):
        """Passes nothing "there" (to the target) or "back" any more, and tells nobody."""
        self._directions[way] = False

    def delay(self, seconds):
        """Holds every piece up for so long."""
        self._delay_s = seconds

    def heal(self):
        """As at first."""
        self._state = OPEN
        self._delay_s = 0.0
        self._directions = {"there": True, "back": True}

    def close(self):
        self._listener.close()
        self.cut()
