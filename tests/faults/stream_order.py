"""What the fence promises of the stream itself: of two relays at once neither stores what the other has stored."""

from tests.faults import nats_client


class StreamOrder:
    """Follows a stream nobody deletes: positions rise from message to message."""

    def __init__(self):
        self._next = 1
        self._last = (0, 0)

    def look(self, local):
        """Goes over what is new; returns what is wrong as texts."""
        wrong = []
        with nats_client.Client(local) as client:
            state = client.stream("INFO")["state"]
            for sequence in range(max(self._next, state["first_seq"]), state["last_seq"] + 1):
                headers = client.headers_at(sequence)
                first = (int(headers["Epoch"]), int(headers["First-Position"]))
                if first <= self._last:
                    wrong.append(f"Fenced: the stream's message {sequence} begins at position {first[1]} "
                                 f"after {self._last[1]}")
                self._last = (first[0], int(headers["Last-Position"]))
            self._next = state["last_seq"] + 1
        return wrong
