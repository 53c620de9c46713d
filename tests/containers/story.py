"""A person's day at a deployment that runs elsewhere: log in, push a template, build, watch."""

import pathlib
import shutil
import subprocess
import tempfile
import threading

from deploy.local import account, data_dir, event_log
from tools.dev import places, say

_TEMPLATE = places.ROOT / "examples/templates/hello"
_STATES = ("pending", "running", "succeeded")


class Person:
    """The first user, with a folder of its own for what coderctl keeps."""

    def __init__(self, address):
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="coder-suite-person-"))
        self.account = account.Account(data_dir.DataDir(self._folder), address)
        self._events = None
        # Workspace -> (transition, reason) of each build asked for.
        self._builds = {}
        self.data = data_dir.DataDir(self._folder)

    def coderctl(self, *arguments):
        """Runs coderctl; Problem when it fails."""
        done = subprocess.run(self.account.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300)
        if done.returncode != 0:
            raise say.Problem(f"coderctl {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    def arrive(self):
        """Becomes the first user; returns the key of a provisioner."""
        self.account.log_in()
        self.account.ensure_provisioner_key()
        return self.data.provisioner_key.read_text()

    def begin(self):
        """Watches every build event from now on, and pushes a template."""
        self._events = event_log.EventLog(self.account.command("watch", "-o", "json"), show=False)
        self.coderctl("templates", "push", str(_TEMPLATE))

    def build(self, verb, workspace):
        """Runs one build to its end."""
        arguments = ["--template", "hello", "--parameter", "size=small"] if verb == "create" else []
        transition, reason = ("start", "initiator") if verb == "create" else (verb, "cli")
        self._builds.setdefault(workspace, []).append((transition, reason))
        self.coderctl(verb, workspace, *arguments)

    def builds_of(self, workspace):
        """How many builds were asked for."""
        return len(self._builds.get(workspace, []))

    def check_events(self, workspace):
        """Waits for the last event of the workspace's last build, and holds all of them against what was asked for."""
        expected = [(*build, status) for build in self._builds[workspace] for status in _STATES]
        last = len(expected)
        self._events.wait_for(lambda event: event["workspace_name"] == workspace and int(event["workspace_version"]) >= last,
                              60, lambda left: None)
        wrong = event_log.faults(self._events.of(workspace), expected)
        if wrong:
            raise AssertionError(f"{workspace}: {'; '.join(wrong)}")
        return last

    def leave(self):
        """Ends the watch and forgets everything."""
        if self._events:
            self._events.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Trickle:
    """Builds of one workspace, one after the other, until told to stop."""

    def __init__(self, person, workspace):
        self._person = person
        self._workspace = workspace
        self._stop = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        verb = "stop"
        try:
            while not self._stop.is_set():
                self._person.build(verb, self._workspace)
                verb = "start" if verb == "stop" else "stop"
        except (say.Problem, subprocess.TimeoutExpired) as problem:
            self._failure = problem

    def end(self):
        """Lets the build in hand end; raises when one failed."""
        self._stop.set()
        self._thread.join(timeout=300)
        if self._failure:
            raise self._failure
