"""Processes are found again, told apart from their successors, and stopped for good."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from deploy.local import data_dir, processes
from tools.dev import say

# Ends only when killed; says so when it is ready.
_STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]


class ProcessesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.data = data_dir.DataDir(pathlib.Path(folder.name) / "suite")
        self.data.prepare()
        self.all = processes.Processes(self.data)

    def test_a_started_process_is_found_by_a_later_launcher_and_stopped(self):
        self.all.start("sleeper", ["sleep", "60"])
        self.addCleanup(self.all.stop, "sleeper")
        later = processes.Processes(self.data)
        pid = later.find("sleeper").pid
        self.assertEqual(os.getsid(pid), pid)
        self.assertTrue(self.all.stop("sleeper"))
        self.assertIsNone(processes.birth_of(pid))
        self.assertIsNone(later.find("sleeper"))
        self.assertFalse(self.all.stop("sleeper"))

    def test_the_record_of_a_dead_process_is_stale(self):
        with subprocess.Popen(["true"]) as dead:
            dead.wait()
        record = self.data.run / "gone.json"
        record.write_text(json.dumps({"name": "gone", "pid": dead.pid, "born": 1, "since": 0.0}))
        self.assertIsNone(self.all.find("gone"))
        self.assertFalse(record.exists())

    def test_a_reused_process_id_is_stale_and_its_new_owner_is_left_alone(self):
        me = os.getpid()
        record = self.data.run / "old.json"
        record.write_text(json.dumps({"name": "old", "pid": me, "born": processes.birth_of(me) - 1, "since": 0.0}))
        self.assertFalse(self.all.stop("old"))
        self.assertFalse(record.exists())

    def test_a_process_that_ends_while_starting_shows_its_last_words(self):
        self.all.start("short", ["sh", "-c", "echo the disk is full; exit 3"])
        with self.assertRaisesRegex(say.Problem, "short ended while starting[^$]*the disk is full"):
            self.all.wait_ready("short", lambda: False)

    def test_one_that_is_never_ready_is_given_up(self):
        self.all.start("sleeper", ["sleep", "60"])
        self.addCleanup(self.all.stop, "sleeper")
        with self.assertRaisesRegex(say.Problem, "sleeper is not ready after 0 s"):
            self.all.wait_ready("sleeper", lambda: False, timeout_s=0)

    def test_one_that_ignores_the_signal_is_killed_after_its_grace(self):
        self.all.start("stubborn", _STUBBORN)
        log = self.all.log_path("stubborn")
        self.all.wait_ready("stubborn", lambda: log.read_text() == "ready\n")
        pid = self.all.find("stubborn").pid
        self.assertTrue(self.all.stop("stubborn", grace_s=0.1))
        self.assertIsNone(processes.birth_of(pid))


if __name__ == "__main__":
    unittest.main()
