"""Just enough of NATS's text protocol to break a stream by hand, as the relay's own user."""

import json
import socket

from deploy.local import nats

STREAM = nats.STREAM


class Client:
    """One connection; one request at a time."""

    def __init__(self, local):
        self._socket = socket.create_connection(("127.0.0.1", local.ports["nats"]), timeout=5)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        user = "pubsub-relay"
        options = {"verbose": False, "user": user, "pass": local.data.secret(f"nats {user}"), "headers": True,
                   "no_responders": True, "lang": "python", "version": "0", "protocol": 1}
        self._send(f"CONNECT {json.dumps(options)}\r\nSUB _INBOX.faults 1\r\nPING\r\n".encode())
        while self._file.readline().strip() != b"PONG":
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def _send(self, data):
        self._socket.sendall(data)

    def publish(self, subject, payload):
        """Sends a message as anybody with the right could; returns the answer."""
        self._send(f"PUB {subject} _INBOX.faults {len(payload)}\r\n".encode() + payload + b"\r\n")
        while True:
            words = self._file.readline().split()
            if not words or words[0] == b"-ERR":
                raise AssertionError(f"NATS refused {subject}: {words}")
            if words[0] == b"PING":
                self._send(b"PONG\r\n")
            if words[0] in (b"MSG", b"HMSG"):
                body = self._file.read(int(words[-1]) + 2)[:-2]
                return json.loads(body) if body.startswith(b"{") else {}

    def stream(self, verb, **request):
        """Asks the stream API."""
        return self.publish(f"$JS.API.STREAM.{verb}.{STREAM}", json.dumps(request).encode() if request else b"")
