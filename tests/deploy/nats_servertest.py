"""The configuration of deploy/nats in a real nats-server: each user may do what its service does, and nothing else."""

import json
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import unittest

from deploy.local import data_dir, nats, ports, processes
from tools.dev import places

_SERVER = "/usr/sbin/nats-server"
_FILES = places.ROOT / "deploy/nats"
_PASSWORDS = {"coderd-api": "0123 a \\\"password\\\"", "pubsub-relay": "$x another # one"}
_STREAM = {"name": nats.STREAM, "subjects": ["build.events"], "storage": "file", "allow_direct": True,
           "deny_delete": True, "max_bytes": 1 << 20}
# A consumer as coderd-api makes it.
_CONSUMER = {"stream_name": nats.STREAM,
             "config": {"deliver_subject": "_INBOX.consumer", "deliver_policy": "all", "ack_policy": "none",
                        "flow_control": True, "idle_heartbeat": 5_000_000_000, "num_replicas": 1, "mem_storage": True}}

# (user, subject) that must be refused: what other services do, what the owner of a server does, what guesses would try.
_REFUSED_PUBLISH = [
    *[("coderd-api", subject) for subject in (
        "build.events", f"$JS.API.STREAM.CREATE.{nats.STREAM}", f"$JS.API.STREAM.UPDATE.{nats.STREAM}",
        f"$JS.API.STREAM.PURGE.{nats.STREAM}", f"$JS.API.STREAM.DELETE.{nats.STREAM}",
        f"$JS.API.STREAM.MSG.DELETE.{nats.STREAM}", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.NAMES",
        "$JS.API.CONSUMER.CREATE.OTHER", "$SYS.REQ.SERVER.PING", "anything")],
    *[("pubsub-relay", subject) for subject in (
        "outbox.poke", "coderd.rights", "build.events.other", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.NAMES",
        f"$JS.API.CONSUMER.CREATE.{nats.STREAM}", "$JS.API.ACCOUNT.PURGE.SUITE", "$SYS.REQ.SERVER.PING", "anything")],
]
_REFUSED_SUBSCRIBE = [
    *[("coderd-api", subject) for subject in (">", "*", "build.events", "outbox.poke", "$JS.API.>", "$SYS.>")],
    *[("pubsub-relay", subject) for subject in (">", "*", "build.events", "coderd.>", "$JS.API.>", "$SYS.>")],
]


class _Client:
    """Speaks just enough of the protocol to say, hear and be refused."""

    def __init__(self, port, user=None, password=None):
        self._socket = socket.create_connection((ports.HOST, port), timeout=10)
        self._lines = self._socket.makefile("rb")
        # Users of one account hear each other's inboxes.
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._listens = False
        self._unheard = []
        self._lines.readline()
        options = {"verbose": False, "lang": "test", "version": "0", "headers": True, "no_responders": True}
        if user:
            options.update({"user": user, "pass": password})
        self._send(f"CONNECT {json.dumps(options)}\r\n")

    def _send(self, text):
        self._socket.sendall(text.encode())

    def _next(self):
        """The next message's (subject, body), refusal or PONG."""
        while True:
            line = self._lines.readline().decode().strip()
            words = line.split()
            if not words or words[0] in ("-ERR", "PONG"):
                return line
            if words[0] in ("MSG", "HMSG"):
                return words[1], self._lines.read(int(words[-1]) + 2)[:-2]

    def settle(self):
        """What the server said since the last call."""
        self._send("PING\r\n")
        heard = []
        while True:
            found = self._next()
            if found in ("PONG", ""):
                return heard
            heard.append(found)

    def subscribe(self, subject):
        self._send(f"SUB {subject} {abs(hash(subject))}\r\n")
        return self.settle()

    def publish(self, subject, body=b""):
        self._socket.sendall(f"PUB {subject} {len(body)}\r\n".encode() + body + b"\r\n")
        return self.settle()

    def ask(self, subject, request=None):
        """The JSON answer, or the server's refusal."""
        body = b"" if request is None else json.dumps(request).encode()
        if not self._listens:
            self._listens = True
            self._send(f"SUB {self._inbox} answers\r\n")
        self._socket.sendall(f"PUB {subject} {self._inbox} {len(body)}\r\n".encode() + body + b"\r\n")
        while True:
            found = self._next()
            if isinstance(found, str):
                return found
            if found[0] == self._inbox:
                return json.loads(found[1]) if found[1].startswith(b"{") else found[1]
            self._unheard.append(found)

    def hear(self):
        """The next message that is no answer, or the server's refusal."""
        return self._unheard.pop(0) if self._unheard else self._next()

    def close(self):
        self._lines.close()
        self._socket.close()


class Users(unittest.TestCase):
    """One server as shipped, but for where it listens and stores."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cn-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        data = data_dir.DataDir(cls.folder / "data")
        data.prepare()
        cls.port = ports.assign([nats.NAME], data.ports)[nats.NAME]
        config = cls.folder / "nats-server.conf"
        text = (_FILES / config.name).read_text()
        for old, new in (('"0.0.0.0:4222"', f'"{ports.HOST}:{cls.port}"'), ('"/var/lib/nats"', f'"{cls.folder}/store"')):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        config.write_text(text)
        (cls.folder / "passwords.conf").write_text(
            "".join(f'{user.replace("-", "_")}_password: "{password}"\n' for user, password in _PASSWORDS.items()))
        cls.processes = processes.Processes(data)
        cls.addClassCleanup(cls.processes.stop, nats.NAME)
        cls.config = config
        cls.processes.start(nats.NAME, [_SERVER, "-c", config])
        cls.processes.wait_ready(nats.NAME, cls._greets)

    @classmethod
    def _greets(cls):
        try:
            with socket.create_connection((ports.HOST, cls.port), timeout=2) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def _client(self, user):
        client = _Client(self.port, user, _PASSWORDS[user].replace("\\", ""))
        self.addCleanup(client.close)
        self.assertEqual(client.settle(), [])
        return client

    def test_the_server_finds_nothing_wrong_with_it(self):
        done = subprocess.run([_SERVER, "-t", "-c", self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_nobody_comes_in_without_the_password(self):
        for user, password in ((None, None), ("coderd-api", "guess"), ("coderd-api", ""), ("root", "guess")):
            client = _Client(self.port, user, password)
            self.addCleanup(client.close)
            self.assertEqual(client.hear(), "-ERR 'Authorization Violation'", user)

    def test_each_does_its_work(self):
        relay, api, replica = self._client("pubsub-relay"), self._client("coderd-api"), self._client("coderd-api")
        self.assertEqual(relay.subscribe("outbox.poke"), [])
        self.assertEqual(api.publish("outbox.poke"), [])
        self.assertEqual(relay.hear(), ("outbox.poke", b""))
        self.assertEqual(replica.subscribe("coderd.rights"), [])
        self.assertEqual(api.publish("coderd.rights", b"x"), [])
        self.assertEqual(replica.hear(), ("coderd.rights", b"x"))

        for client in (relay, api):
            self.assertNotIn("error", client.ask("$JS.API.INFO"))
        self.assertNotIn("error", relay.ask(f"$JS.API.STREAM.CREATE.{nats.STREAM}", _STREAM))
        self.assertEqual(relay.ask("build.events", {"an": "event"})["seq"], 1)
        self.assertEqual(relay.ask(f"$JS.API.DIRECT.GET.{nats.STREAM}", {"seq": 1})[-15:], b'{"an": "event"}')
        self.assertIn("message", relay.ask(f"$JS.API.STREAM.MSG.GET.{nats.STREAM}", {"seq": 1}))
        self.assertEqual(api.ask(f"$JS.API.STREAM.INFO.{nats.STREAM}")["state"]["messages"], 1)
        self.assertEqual(api.subscribe("_INBOX.consumer"), [])
        consumer = api.ask(f"$JS.API.CONSUMER.CREATE.{nats.STREAM}", _CONSUMER)
        self.assertNotIn("error", consumer)
        self.assertEqual(api.hear()[1], b'{"an": "event"}')
        self.assertNotIn("error", api.ask(f"$JS.API.CONSUMER.DELETE.{nats.STREAM}.{consumer['name']}"))
        self.assertTrue(relay.ask(f"$JS.API.STREAM.PURGE.{nats.STREAM}")["success"])

    def test_nobody_does_anothers_work(self):
        for user, subject in _REFUSED_PUBLISH:
            (refused,) = self._client(user).publish(subject)
            self.assertEqual(refused, f"-ERR 'Permissions Violation for Publish to \"{subject}\"'", user)
        for user, subject in _REFUSED_SUBSCRIBE:
            (refused,) = self._client(user).subscribe(subject)
            self.assertEqual(refused, f"-ERR 'Permissions Violation for Subscription to \"{subject}\"'", user)

    def test_the_lists_are_those_the_launchers_services_run_with(self):
        text = (_FILES / "nats-server.conf").read_text()
        for user, permissions in nats.PERMISSIONS.items():
            section = text.split(f"user: {user}\n")[1].split("user:")[0]
            for verb, subjects in permissions.items():
                listed = re.search(rf"{verb}: \[(.*?)\]", section, re.S).group(1)
                self.assertEqual(re.findall(r'"([^"]+)"', listed), subjects)
        self.assertEqual(len(re.findall(r"\buser:", text)), len(nats.PERMISSIONS))


if __name__ == "__main__":
    unittest.main()
