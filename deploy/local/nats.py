"""The embedded nats-server: JetStream on files, one user for each service that speaks to it."""

import json
import pathlib
import socket

from deploy.local import ports
from tools.dev import say

NAME = "nats"
STREAM = "BUILD_EVENTS"
_PROGRAM = pathlib.Path("/usr/sbin/nats-server")

# What each service may say and hear.  The relay alone publishes events and owns the stream.
PERMISSIONS = {
    "coderd-api": {
        "publish": ["outbox.poke", "coderd.>", "$JS.API.INFO", f"$JS.API.STREAM.INFO.{STREAM}", f"$JS.API.CONSUMER.*.{STREAM}",
                    f"$JS.API.CONSUMER.*.{STREAM}.>", f"$JS.ACK.{STREAM}.>", f"$JS.FC.{STREAM}.>"],
        "subscribe": ["coderd.>", "_INBOX.>"],
    },
    "pubsub-relay": {
        "publish": ["build.events", "$JS.API.INFO", f"$JS.API.STREAM.*.{STREAM}", f"$JS.API.STREAM.MSG.*.{STREAM}",
                    f"$JS.API.DIRECT.GET.{STREAM}", f"$JS.API.DIRECT.GET.{STREAM}.>"],
        "subscribe": ["outbox.poke", "_INBOX.>"],
    },
}


def render_config(port, store, passwords, permissions=None, max_file=4 << 30, tls=None):
    """nats-server's configuration.

    `passwords` maps each user of `permissions`, those of PERMISSIONS unless given, to its password; `max_file` bounds
    what all streams may take, in bytes; `tls` is the section of that name.
    """
    users = [{"user": user, "password": passwords[user], "permissions": may}
             for user, may in (permissions or PERMISSIONS).items()]
    # The server reads JSON: names and strings are quoted, nothing can be misread.
    settings = {
        "listen": f"{ports.HOST}:{port}",
        "server_name": "coder-suite-local",
        "max_payload": 1048576,
        "jetstream": {"store_dir": str(store), "max_memory_store": 67108864, "max_file_store": max_file},
        "authorization": {"users": users},
    }
    return json.dumps(settings | ({"tls": tls} if tls else {}), indent=1) + "\n"


class Nats:
    """Starts and stops the server of one data directory."""

    def __init__(self, data, processes, port):
        self.permissions = dict(PERMISSIONS)
        self.max_file = 4 << 30
        self.tls = None
        self._data = data
        self._processes = processes
        self._port = port

    def url(self, user):
        """How the service connects."""
        return f"nats://{user}:{self._data.secret('nats ' + user)}@{ports.HOST}:{self._port}"

    def start(self):
        """Writes the configuration and starts the server."""
        if not _PROGRAM.exists():
            raise say.Problem("nats-server is not installed; as root run: apt-get install -y nats-server")
        config = self._data.path / "nats.conf"
        passwords = {user: self._data.secret("nats " + user) for user in self.permissions}
        self._data.write_private(config, render_config(self._port, self._data.path / "nats", passwords,
                                                       self.permissions, self.max_file, self.tls))
        self._processes.start(NAME, [_PROGRAM, "-c", config])
        self._processes.wait_ready(NAME, self._greets)

    def _greets(self):
        try:
            with socket.create_connection((ports.HOST, self._port), timeout=2) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False
