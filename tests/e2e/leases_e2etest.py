"""Builds that do not end as they should: canceled, abandoned by a killed daemon, reported after the lease was lost."""

import os
import signal
import unittest

from deploy.local import event_log
from tests.e2e import harness

# A first resource that is there at once, then a machine that takes its time.
_SLOW = """
resource "terraform_data" "disk" {
  input = "kept"
}

data "coder_workspace" "me" {}

resource "terraform_data" "machine" {
  count      = data.coder_workspace.me.start_count
  depends_on = [terraform_data.disk]

  provisioner "local-exec" {
    command = "env -i setsid sh -c 'sleep STRAY & wait' >/dev/null 2>&1 & echo working; exec sleep SECONDS"
  }
}

terraform {
  required_providers {
    coder = { source = "coder/coder" }
  }
}
"""
# Longer than any test; the number finds the process.
_NAP = 987
# Part of an apply that leaves its parent, its session and its environment behind.
_STRAY = 876


class LeasesTest(harness.SuiteTest):
    flags = {"coderd-api": ["--lease-duration=6s"], "provisionerd": ["--engine-grace=5s"]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.push_terraform("endless", _SLOW.replace("SECONDS", str(_NAP)).replace("STRAY", str(_STRAY)))
        cls.push_terraform("slow", _SLOW.replace("SECONDS", "2").replace("STRAY", "2"))
        cls.push_echo("quick", start={"log": ["working"], "delay_ms": 3000})

    def napping(self):
        """Processes of a running apply of the template "endless"."""
        return self.below(self.pid("provisionerd"), f"sleep {_NAP}")

    def start_endless(self, workspace):
        """Begins an apply that does not end by itself, and waits until it is under way."""
        self.coderctl.do("create", workspace, "--template", "endless", "--no-wait")
        return harness.wait_until("the machine is being made", self.napping)

    def freeze_until_reaped(self, workspace):
        """Stops provisionerd's clockwork, not its engine, until the reaper has ended the workspace's running job."""
        daemon = self.pid("provisionerd")
        os.kill(daemon, signal.SIGSTOP)
        try:
            failed = self.wait_for(workspace, "failed")
            # The engine is nobody's to stop now, and ends by itself.
            harness.wait_until("the engine has ended", lambda: not self.below(daemon, str(self.engine)))
        finally:
            os.kill(daemon, signal.SIGCONT)
        return failed

    def wait_for_kind(self, workspace, kind):
        return self.events.wait_for(
            lambda event: event["workspace_name"] == workspace and event["kind"] == f"BUILD_EVENT_KIND_{kind}", 60,
            lambda left: None)

    def assert_destroys(self, workspace, *resources):
        """Deletes the workspace; its state held these."""
        done = self.coderctl.run("delete", workspace)
        self.assertEqual(done.returncode, 0, done.stderr)
        for resource in resources:
            self.assertIn(f"{resource}: Destruction complete", done.stdout + done.stderr)

    def statuses(self, workspace):
        return [event_log.word(event["job_status"]) for event in self.events.of(workspace)]

    def test_a_canceled_apply_ends_its_engine_and_keeps_its_state(self):
        self.start_endless("canceled")
        self.assertIn("canceling", self.coderctl.run("cancel", "canceled").stderr)
        self.wait_for("canceled", "canceled")
        self.assertEqual(self.statuses("canceled"), ["pending", "running", "canceling", "canceled"])
        self.assertEqual(self.below(self.pid("provisionerd"), ""), [])
        self.assertEqual(self.show("canceled")["status"], "WORKSPACE_STATUS_CANCELED")
        self.assert_destroys("canceled", "terraform_data.disk")

    def test_a_killed_daemons_job_is_ended_and_another_daemon_goes_on(self):
        self.start_endless("abandoned")
        daemon = self.pid("provisionerd")
        harness.wait_until("the stray runs", lambda: self.below(daemon, f"sleep {_STRAY}"))
        job = self.below(daemon, "")
        self.end("provisionerd")
        harness.wait_until("all of the job has ended", lambda: not [pid for pid in job if harness.command_of(pid)])
        failed = self.wait_for("abandoned", "failed")
        self.assertEqual(failed["error_code"], "LEASE_EXPIRED")
        self.assertEqual(self.statuses("abandoned"), ["pending", "running", "failed"])
        self.start("provisionerd")
        self.coderctl.do("delete", "abandoned")
        self.coderctl.do("create", "after", "--template", "quick")
        self.assertEqual(self.show("after")["status"], "WORKSPACE_STATUS_RUNNING")

    def test_a_late_state_blocks_until_it_is_dismissed(self):
        self.coderctl.do("create", "late", "--template", "quick", "--no-wait")
        self.wait_for("late", "running")
        harness.wait_until("the build works", lambda: "working" in self.coderctl.do("logs", "late"))
        self.assertEqual(self.freeze_until_reaped("late")["error_code"], "LEASE_EXPIRED")
        self.wait_for_kind("late", "LATE_STATE_STORED")
        self.assertTrue(self.show("late")["latest_build"]["late_state_pending"])
        refused = self.coderctl.run("stop", "late")
        self.assertEqual((refused.returncode, "LATE_STATE" in refused.stderr), (5, True), refused.stderr)
        self.coderctl.do("resolve-state", "late", "--dismiss")
        self.wait_for_kind("late", "LATE_STATE_RESOLVED")
        self.coderctl.do("stop", "late")
        self.assertEqual(self.coderctl.run("resolve-state", "late", "--dismiss").returncode, 5)

    def test_an_adopted_late_state_is_what_the_next_build_destroys(self):
        self.coderctl.do("create", "adopted", "--template", "slow", "--no-wait")
        self.wait_for("adopted", "running")
        harness.wait_until("the apply runs", lambda: self.below(self.pid("provisionerd"), "sleep 2"))
        self.freeze_until_reaped("adopted")
        self.wait_for_kind("adopted", "LATE_STATE_STORED")
        self.coderctl.do("resolve-state", "adopted", "--adopt")
        self.assert_destroys("adopted", "terraform_data.disk", "terraform_data.machine[0]")


if __name__ == "__main__":
    unittest.main()
