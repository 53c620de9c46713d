"""The load test of autostart on real services: over restarts, and with an interrupt in the middle."""

import json
import pathlib
import re
import signal
import subprocess
import unittest

from tests.e2e import harness

_WORKSPACES = 20


class Run:
    """A scaletest that runs in the background, with what it says on standard error."""

    def __init__(self, command, folder):
        self.said_path = pathlib.Path(folder) / "said"
        with self.said_path.open("w") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def said(self):
        return self.said_path.read_text()

    def wait_for(self, pattern):
        """Waits until it says what matches."""
        def probe():
            if re.search(pattern, self.said()):
                return True
            if self._process.poll() is not None:
                raise AssertionError(f"ended before it said {pattern}:\n{self.said()}")
            return False
        harness.wait_until(f"it says {pattern}", probe, 120)

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def end(self):
        """Waits for its end and returns its exit status."""
        return self._process.wait(timeout=240)


class ScaletestTest(harness.SuiteTest):
    flags = {"coderd-api": ["--lease-duration=4s"]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.push_echo("quick")
        cls.push_echo("slow", start={"delay_ms": 600_000, "log": ["long"]})

    def scaletest(self, *arguments):
        command = self.account_command("scaletest", *arguments)
        run = Run(command, self.folder)
        return run

    def account_command(self, *arguments):
        return self.local.account().command(*arguments)

    def assert_nothing_left(self):
        """Neither workspaces nor users of a load test."""
        self.assertEqual(self.coderctl.read("list", "--all").get("workspaces", []), [])
        users = [user["username"] for user in self.coderctl.read("users", "list")["users"]]
        self.assertEqual([name for name in users if name.startswith("scaletest-")], [])

    def test_all_start_by_themselves_while_services_restart(self):
        report, page = self.folder / "report.json", self.folder / "report.html"
        run = self.scaletest("autostart", "-c", str(_WORKSPACES), "-t", "quick", "--concurrency", "8",
                             "--autostart-delay", "15s", "-o", f"json:{report}", "-o", f"html:{page}", "-o", "text")
        run.wait_for(r"schedule +\d")
        self.end("coderd-api")
        self.start("coderd-api")
        self.end("pubsub-relay")
        self.start("pubsub-relay")
        self.assertEqual(run.end(), 0, run.said())

        result = json.loads(report.read_text())
        self.assertEqual(result["errors"], {})
        self.assertEqual(len(result["timelines"]), _WORKSPACES)
        for line in result["timelines"]:
            self.assertLess(line["config_time"], line["scheduled_time"])
            self.assertLessEqual(line["scheduled_time"], line["create_time"])
            self.assertLessEqual(line["create_time"], line["acquire_time"])
            self.assertLessEqual(line["acquire_time"], line["complete_time"])
        self.assertEqual(result["facts"]["started by themselves"], str(_WORKSPACES))
        self.assertEqual(result["facts"]["events lost or out of order"], "0")
        self.assertGreaterEqual(int(result["facts"]["stream dropped and resumed"]), 1)
        self.assertEqual(result["latency"]["trigger_to_completed_count"], _WORKSPACES)
        self.assertIn("<polyline", page.read_text())
        self.assert_nothing_left()

    def test_an_interrupt_leaves_nothing_behind(self):
        run = self.scaletest("autostart", "-c", "6", "-t", "slow", "--concurrency", "3")
        harness.wait_until("builds run", lambda: any(
            event["template_name"] == "slow" and event["job_status"] == "JOB_STATUS_RUNNING" for event in self.events.all()))
        run.interrupt()
        self.assertEqual(run.end(), 130, run.said())
        self.assertIn("interrupted", run.said())
        self.assert_nothing_left()

    def test_cleanup_finds_what_a_killed_test_left(self):
        self.coderctl.do("create", "mine", "--template", "quick")
        done = self.coderctl.run("scaletest", "builds", "-c", "3", "-t", "quick", "--duration", "2s", "--no-cleanup")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.coderctl.read("list", "--all")["workspaces"]), 4)
        self.coderctl.do("scaletest", "cleanup")
        self.assertEqual([left["name"] for left in self.coderctl.read("list", "--all")["workspaces"]], ["mine"])
        self.coderctl.do("delete", "mine")
        self.assert_nothing_left()

    def test_watchers_see_everything(self):
        done = self.coderctl.run("scaletest", "watchers", "-c", "4", "-t", "quick", "--duration", "3s", "--watchers", "10",
                                 "-o", "json:-")
        self.assertEqual(done.returncode, 0, done.stderr)
        facts = json.loads(done.stdout)["facts"]
        self.assertEqual((facts["events lost"], facts["events doubled"], facts["watches"]), ("0", "0", "10"))
        self.assertGreater(int(facts["events delivered"]), 100)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
