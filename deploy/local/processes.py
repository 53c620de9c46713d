"""Starts processes that outlive the launcher, finds them again, and stops them."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

from tools.dev import say

# A process as remembered in run/<name>.json; `born` is the kernel's start time, which tells a
# reused process id from the process itself.
Running = collections.namedtuple("Running", "name pid born since")


def birth_of(pid):
    """When the process started, in kernel ticks since boot; None when there is none (or a zombie)."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2:].split()
    return None if fields[0] in "ZX" else int(fields[19])


class Processes:
    """The processes of one data directory."""

    def __init__(self, data):
        self._data = data
        self._children = {}

    def log_path(self, name):
        return self._data.logs / f"{name}.log"

    def _record(self, name):
        return self._data.run / f"{name}.json"

    def find(self, name):
        """The named process if it runs, else None; a record left by a dead one is removed."""
        record = self._record(name)
        if not record.exists():
            return None
        known = Running(**json.loads(record.read_text()))
        if birth_of(known.pid) == known.born:
            return known
        record.unlink()
        return None

    def start(self, name, command, environment=None):
        """Starts a process in a session of its own, with its output appended to its log."""
        with open(self.log_path(name), "ab") as log:
            child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=self._data.path, env=dict(os.environ, **(environment or {})),
                                     start_new_session=True)
        self._children[name] = child
        # A process that is dead already has no birth; wait_ready tells its end.
        known = Running(name, child.pid, birth_of(child.pid) or 0, time.time())
        self._record(name).write_text(json.dumps(known._asdict()) + "\n")

    def _has_ended(self, name):
        child = self._children.get(name)
        return child.poll() is not None if child else self.find(name) is None

    def exit_status(self, name):
        """Of an ended process that this launcher started, as subprocess tells it; else None."""
        child = self._children.get(name)
        # Its threads may outlive its main one a little.
        return child.wait(timeout=10) if child else None

    def log_tail(self, name, lines=12):
        path = self.log_path(name)
        text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
        return "\n".join("    " + line for line in text)

    def wait_ready(self, name, is_ready, timeout_s=60):
        """Waits until `is_ready()`, telling every 5 s that it waits; Problem when the process ends or time is up."""
        started = told = time.monotonic()
        while not is_ready():
            now = time.monotonic()
            if self._has_ended(name):
                raise say.Problem(f"{name} ended while starting; the end of {self.log_path(name)}:\n{self.log_tail(name)}")
            if now - started > timeout_s:
                raise say.Problem(
                    f"{name} is not ready after {timeout_s} s; the end of {self.log_path(name)}:\n{self.log_tail(name)}")
            if now - told > 5:
                told = now
                say.note(f"waiting for {name} ({int(now - started)} s)")
            time.sleep(0.1)

    def stop(self, name, stop_signal=signal.SIGTERM, grace_s=30):
        """Stops the named process and waits for its end; kills its group after the grace. True if it ran."""
        known = self.find(name)
        if known is None:
            return False
        os.kill(known.pid, stop_signal)
        deadline = time.monotonic() + grace_s
        while birth_of(known.pid) == known.born:
            if time.monotonic() > deadline:
                say.note(f"{name} did not stop within {grace_s} s and is killed")
                os.killpg(known.pid, signal.SIGKILL)
                deadline = float("inf")
            if name in self._children:
                self._children[name].poll()
            time.sleep(0.05)
        child = self._children.pop(name, None)
        if child:
            child.wait()
        self._record(name).unlink(missing_ok=True)
        return True


def answers_http(port, path, address="127.0.0.1", timeout_s=2):
    """Whether GET http://address:port/path is answered with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:{port}{path}", timeout=timeout_s) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError, ValueError):
        return False
