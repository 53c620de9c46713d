"""The embedded servers themselves: what is written survives down and up, and rights hold."""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

from deploy.local import data_dir, nats, ports, postgres, suite
from tools.dev import say


def _psql(url, sql):
    return subprocess.run([postgres.programs_dir() / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class _NatsClient:
    """Speaks just enough of the protocol to ask and to be refused."""

    def __init__(self, port, user, password):
        self._socket = socket.create_connection((ports.HOST, port), timeout=10)
        self._lines = self._socket.makefile("rb")
        self._lines.readline()
        options = json.dumps({"user": user, "pass": password, "verbose": False, "lang": "test", "version": "0"})
        self._socket.sendall(f"CONNECT {options}\r\nSUB _INBOX.test 1\r\n".encode())

    def ask(self, subject, body):
        """The JSON answer, or the server's refusal as text."""
        payload = json.dumps(body).encode()
        self._socket.sendall(f"PUB {subject} _INBOX.test {len(payload)}\r\n".encode() + payload + b"\r\n")
        while True:
            line = self._lines.readline().decode().strip()
            if line.startswith("-ERR"):
                return line
            if line.startswith("MSG"):
                return json.loads(self._lines.read(int(line.split()[-1])))

    def close(self):
        self._lines.close()
        self._socket.close()


class ServersTest(unittest.TestCase):
    def setUp(self):
        # Under /tmp, where PostgreSQL's account can follow when the test runs as root.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-suite-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.local = None

    def start(self):
        data = data_dir.DataDir(self.folder / "data")
        data.prepare()
        self.local = suite.Suite(data)
        self.local.connect()
        self.addCleanup(self.local.down)
        self.local.start_servers()
        return self.local

    def nats_client(self, user):
        local = self.local
        client = _NatsClient(local.ports[nats.NAME], user, local.data.secret("nats " + user))
        self.addCleanup(client.close)
        return client

    def test_data_and_ports_survive_down_and_up(self):
        first = self.start()
        owner = first.postgres.url(postgres.OWNER)
        self.assertEqual(_psql(owner, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('still here')").returncode, 0)
        stream = {"name": nats.STREAM, "subjects": ["build.events.>"], "storage": "file"}
        created = self.nats_client("pubsub-relay").ask(f"$JS.API.STREAM.CREATE.{nats.STREAM}", stream)
        self.assertNotIn("error", created)
        self.assertEqual(first.down(), [nats.NAME, postgres.NAME])
        self.assertEqual(first.running(), [])

        second = self.start()
        self.assertEqual(second.ports, first.ports)
        self.assertEqual(_psql(owner, "SELECT word FROM kept").stdout.strip(), "still here")
        found = self.nats_client("coderd-api").ask(f"$JS.API.STREAM.INFO.{nats.STREAM}", {})
        self.assertEqual(found["config"]["name"], nats.STREAM)

    def test_only_the_relay_may_make_or_change_the_stream(self):
        self.start()
        for verb in ("CREATE", "PURGE", "DELETE"):
            refused = self.nats_client("coderd-api").ask(f"$JS.API.STREAM.{verb}.{nats.STREAM}", {})
            self.assertIn("Permissions Violation", refused)

    def test_a_role_with_the_wrong_password_stays_outside(self):
        local = self.start()
        url = local.postgres.url("coder_api").replace(local.data.secret("coder_api"), "guess")
        self.assertIn("authentication failed", _psql(url, "SELECT 1").stdout)
        self.assertEqual(_psql(local.postgres.url("coder_api"), "SELECT 1").stdout.strip(), "1")

    def test_a_killed_server_is_noticed_and_started_again(self):
        local = self.start()
        known = local.processes.find(nats.NAME)
        local.processes.stop(nats.NAME, stop_signal=9)
        self.assertEqual(local.running(), [postgres.NAME])
        local.start_servers()
        self.assertNotEqual(local.processes.find(nats.NAME).pid, known.pid)

    def test_a_cluster_of_another_version_is_refused_with_a_way_out(self):
        self.start().down()
        (self.folder / "data/postgres/PG_VERSION").write_text("13\n")
        with self.assertRaisesRegex(say.Problem, "holds data of PostgreSQL 13.*pg_upgrade"):
            self.start()


if __name__ == "__main__":
    unittest.main()
