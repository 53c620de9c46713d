"""Just enough of NATS's text protocol to break a stream by hand, as the relay's own user."""

import base64
import json
import socket

from deploy.local import nats

STREAM = nats.STREAM


class Client:
    """One connection; one request at a time."""

    def __init__(self, local, user="pubsub-relay"):
        self._socket = socket.create_connection(("127.0.0.1", local.ports["nats"]), timeout=5)
        self._file = self._socket.makefile("rb")
        self._file.readline()
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
        return self._await_answer(subject)

    def publish_with(self, subject, headers, payload):
        """The same with headers, a dict."""
        head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        sizes = f"{len(head)} {len(head) + len(payload)}"
        self._send(f"HPUB {subject} _INBOX.faults {sizes}\r\n{head}".encode() + payload + b"\r\n")
        return self._await_answer(subject)

    def _await_answer(self, subject):
        while True:
            words = self._file.readline().split()
            if not words or words[0] == b"-ERR":
                raise AssertionError(f"NATS refused {subject}: {words}")
            if words[0] == b"PING":
                self._send(b"PONG\r\n")
            if words[0] in (b"MSG", b"HMSG"):
                body = self._file.read(int(words[-1]) + 2)[:-2]
                return json.loads(body) if body.startswith(b"{") else {}

    def ask(self, subject, **request):
        """Sends a request of JSON."""
        return self.publish(subject, json.dumps(request).encode() if request else b"")

    def message_at(self, sequence):
        """The stream's message: its headers, a dict, and its payload."""
        message = self.stream("MSG.GET", seq=sequence)["message"]
        lines = base64.b64decode(message.get("hdrs", "")).decode().split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines if line)
        return headers, base64.b64decode(message.get("data", ""))

    def headers_at(self, sequence):
        """The headers alone."""
        return self.message_at(sequence)[0]

    def stream(self, verb, **request):
        """Asks the stream API."""
        return self.ask(f"$JS.API.STREAM.{verb}.{STREAM}", **request)
