"""Every service is restarted, in order and by force, under a running watch and a steady trickle of builds."""

import collections
import signal
import threading
import unittest

from deploy.local import event_log, services
from tests.e2e import harness

_WORKSPACES = ["one", "two", "three"]
_FINAL = {"succeeded", "failed", "canceled"}
# What may follow a build's last status.  A draining daemon gives back a job it has not begun.
_NEXT = {"": {"pending"}, "pending": {"running", "canceled"}, "running": _FINAL | {"pending"}}


class Trickle:
    """Builds each workspace in turn, one build after the other; refusals while a part is away are tried again."""

    def __init__(self, coderctl):
        self._coderctl = coderctl
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._build, args=(name,)) for name in _WORKSPACES]
        for thread in self._threads:
            thread.start()

    def _build(self, name):
        while not self._stop.is_set():
            for verb in ("stop", "start"):
                while not self._stop.is_set() and self._coderctl.run(verb, name, "--no-wait").returncode != 0:
                    self._stop.wait(harness.STEP_S)  # a build runs, or the API is away

    def end(self):
        """Lets nothing new begin."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


class RestartsTest(harness.SuiteTest):
    flags = {"coderd-api": ["--lease-duration=4s"]}

    def succeeded(self):
        return len([event for event in self.events.all() if event["job_status"] == "JOB_STATUS_SUCCEEDED"])

    def restart(self, name, stop_signal):
        """Restarts a service and sees builds succeed again."""
        self.end(name, stop_signal)
        self.start(name)
        before = self.succeeded()
        harness.wait_until(f"builds succeed after {stop_signal.name} of {name}", lambda: self.succeeded() >= before + 4, 60)

    def check_builds(self):
        """Every build of every workspace is told in full, and nothing else is."""
        told = collections.defaultdict(list)
        for event in self.events.all():
            told[event["workspace_name"], event["build_number"]].append(event_log.word(event["job_status"]))
        for statuses in told.values():
            for last, status in zip(["", *statuses], statuses):
                self.assertIn(status, _NEXT[last], statuses)
            self.assertIn(statuses[-1], _FINAL)
        kept = {}
        for name in _WORKSPACES:
            for build in self.coderctl.read("builds", name)["builds"]:
                kept[name, build["build_number"]] = event_log.word(build["job"]["status"])
        newest = {key: statuses[-1] for key, statuses in told.items() if key in kept}
        self.assertEqual(newest, kept)

    def test_nothing_is_lost_doubled_or_reordered(self):
        self.push_echo("quick", start={"delay_ms": 100}, stop={"delay_ms": 100})
        for name in _WORKSPACES:
            self.coderctl.do("create", name, "--template", "quick")
        trickle = Trickle(self.coderctl)
        try:
            for name in services.NAMES:
                for stop_signal in (signal.SIGTERM, signal.SIGKILL):
                    with self.subTest(service=name, signal=stop_signal.name):
                        self.restart(name, stop_signal)
        finally:
            trickle.end()
        for name in _WORKSPACES:
            harness.wait_until(f"the last build of {name} is told", lambda: self.is_told(name), 60)
        self.assert_dense(self.events.all())
        self.check_builds()

    def is_told(self, name):
        """Whether the watch has come to the end of the workspace's latest build."""
        build = self.show(name)["latest_build"]
        last = self.events.of(name)[-1]
        return (last["build_number"], last["job_status"]) == (build["build_number"], build["job"]["status"]) and (
            event_log.word(last["job_status"]) in _FINAL)


if __name__ == "__main__":
    unittest.main()
