"""One workspace's life with the real engine: template, start, stop, autostart, delete, and every event of it."""

import datetime
import unittest

from deploy.local import demo, engine_sighting, event_log
from tests.e2e import harness
from tools.dev import places

_STATES = ["pending", "running", "succeeded"]


class LifeTest(harness.SuiteTest):
    def sighting(self):
        """Watches for the engine below provisionerd."""
        return engine_sighting.EngineSighting(self.engine, self.pid("provisionerd"))

    def push_template(self):
        with self.sighting() as seen:
            self.coderctl.do("templates", "push", str(places.ROOT / "examples/templates/hello"))
        self.assertIn("plan", seen.commands)
        parameters = self.coderctl.read("templates", "parameters", "hello")["parameters"]
        self.assertEqual({parameter["name"] for parameter in parameters}, {"greeting", "size"})

    def create(self):
        with self.sighting() as seen:
            done = self.coderctl.run("create", "dev", "--template", "hello", "--parameter", "greeting=Good morning",
                                     "--parameter", "size=small")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("apply", seen.commands)
        followed = done.stdout + done.stderr
        for line in ("Good morning, admin", "preparing dev: step 4 of 4"):
            self.assertIn(line, followed)
        self.assertIn("Good morning, admin", self.coderctl.do("logs", "dev"))
        self.assertEqual(self.show("dev")["status"], "WORKSPACE_STATUS_RUNNING")

    def stop(self):
        self.coderctl.do("stop", "dev")
        self.assertEqual(self.show("dev")["status"], "WORKSPACE_STATUS_STOPPED")

    def autostart(self):
        due = demo.next_minute(datetime.datetime.now(datetime.timezone.utc))
        self.coderctl.do("schedule", "start", "dev", f"CRON_TZ=UTC {due.minute} {due.hour} * * *")
        fires = self.coderctl.read("schedule", "preview", "dev", "-n", "1")["fires"]
        self.assertEqual(fires[0]["nominal_time"], f"{due:%Y-%m-%dT%H:%M:%SZ}")
        planned = self.coderctl.read("schedule", "explain", "dev")["planned"]
        self.assertEqual([action["kind"] for action in planned], ["autostart"])
        self.wait_for("dev", "start", "autostart", "succeeded", timeout_s=150)
        outcomes = self.coderctl.read("schedule", "explain", "dev")["outcomes"]
        self.assertEqual([(outcome["kind"], outcome["outcome"]) for outcome in outcomes], [("autostart", "applied")])
        self.assertEqual(outcomes[0]["nominal_time"], f"{due:%Y-%m-%dT%H:%M:%SZ}")

    def delete(self):
        self.coderctl.do("delete", "dev")
        self.assertEqual(self.coderctl.run("show", "dev").returncode, 3)
        self.wait_for("dev", "delete", "cli", "succeeded")

    def test_from_the_template_to_the_deleted_workspace(self):
        self.push_template()
        self.create()
        self.stop()
        self.autostart()
        self.delete()
        builds = [("start", "initiator"), ("stop", "cli"), ("start", "autostart"), ("delete", "cli")]
        expected = [(*build, status) for build in builds for status in _STATES]
        self.assertEqual(event_log.faults(self.events.of("dev"), expected), [])
        self.assertEqual(len(self.events.all()), len(expected))
        self.assert_dense(self.events.all())


if __name__ == "__main__":
    unittest.main()
