"""Ports are remembered, and given up only for a reason that is told."""

import contextlib
import io
import pathlib
import socket
import tempfile
import unittest

from deploy.local import ports
from tools.dev import say


class PortsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "ports.json"

    def listen(self, port=0):
        server = socket.create_server((ports.HOST, port))
        self.addCleanup(server.close)
        return server.getsockname()[1]

    def test_every_name_gets_its_own_free_port(self):
        chosen = ports.assign(["a", "b", "c"], self.path)
        self.assertEqual(len(set(chosen.values())), 3)
        self.assertTrue(all(ports.is_free(port) for port in chosen.values()))

    def test_ports_are_remembered(self):
        self.assertEqual(ports.assign(["a", "b"], self.path), ports.assign(["a", "b"], self.path))
        self.assertEqual(set(ports.remembered(self.path)), {"a", "b"})

    def test_a_remembered_port_taken_by_another_is_replaced_and_told(self):
        before = ports.assign(["a", "b"], self.path)
        self.listen(before["a"])
        with contextlib.redirect_stderr(io.StringIO()) as told:
            after = ports.assign(["a", "b"], self.path)
        self.assertNotEqual(after["a"], before["a"])
        self.assertEqual(after["b"], before["b"])
        self.assertIn(f"port {before['a']}", told.getvalue())

    def test_the_port_of_a_running_process_is_kept(self):
        before = ports.assign(["a"], self.path)
        self.listen(before["a"])
        self.assertEqual(ports.assign(["a"], self.path, running=["a"]), before)

    def test_a_fixed_port_is_used_or_refused_but_never_replaced(self):
        taken = self.listen()
        with self.assertRaisesRegex(say.Problem, f"port {taken}, asked for as a, is in use"):
            ports.assign(["a"], self.path, fixed={"a": taken})
        free = ports.assign(["x"], self.path)["x"]
        self.assertEqual(ports.assign(["a"], self.path, fixed={"a": free}), {"a": free})


if __name__ == "__main__":
    unittest.main()
