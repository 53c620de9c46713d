"""What watch-all said: every event, printed as it comes and kept for the reckoning."""

import json
import re
import subprocess
import threading
import time

from tools.dev import say


class EventLog:
    """Runs `coderctl watch` and collects its events; `show` prints each as it comes."""

    def __init__(self, command, show=True):
        self._changed = threading.Condition()
        self._events = []
        self._show = show
        self._said = []
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._threads = [threading.Thread(target=self._read, daemon=True),
                         threading.Thread(target=self._listen, daemon=True)]
        for thread in self._threads:
            thread.start()

    def _listen(self):
        for line in self._process.stderr:
            with self._changed:
                self._said.append(line.rstrip())
                self._changed.notify_all()

    def _read(self):
        for line in self._process.stdout:
            watched = json.loads(line)
            event = dict(watched["event"], position=int(watched["position"]))
            if self._show:
                print(f"    watch-all | #{event['position']} {event['workspace_name']} build {event['build_number']} "
                      f"{word(event['transition'])} {word(event['job_status'])} ({word(event['reason'])})",
                      flush=True)
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def all(self):
        """Every event so far, in the order they came."""
        with self._changed:
            return list(self._events)

    def said(self):
        """What the watch wrote to standard error so far: interruptions, its resume token, an error."""
        with self._changed:
            return "\n".join(self._said)

    def of(self, workspace):
        """The events of a workspace so far, in the order they came."""
        with self._changed:
            return [event for event in self._events if event["workspace_name"] == workspace]

    def wait_for(self, matches, timeout_s, tell):
        """Waits for an event; `tell` is called every few seconds with the seconds left."""
        deadline = told = time.monotonic()
        deadline += timeout_s
        with self._changed:
            while True:
                for event in self._events:
                    if matches(event):
                        return event
                now = time.monotonic()
                if self._process.poll() is not None:
                    raise say.Problem("watch-all ended by itself:\n" + "\n".join(self._said))
                if now > deadline:
                    raise say.Problem(f"the event did not come within {timeout_s} s; ./dev logs shows what the services say")
                if now - told > 5:
                    told = now
                    tell(int(deadline - now))
                self._changed.wait(0.5)

    def close(self):
        """Ends the watch; returns the token to resume from, or None when there is none yet."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)
        for thread in self._threads:
            thread.join(timeout=10)
        for stream in (self._process.stdout, self._process.stderr):
            stream.close()
        tokens = re.findall(r"^resume with: --from (\S+)$", self.said(), re.M)
        return tokens[-1] if tokens else None


def word(enum_value):
    """BUILD_TRANSITION_START -> start; JOB_STATUS_RUNNING -> running."""
    for prefix in ("BUILD_TRANSITION_", "JOB_STATUS_", "BUILD_REASON_"):
        if enum_value.startswith(prefix):
            return enum_value[len(prefix):].lower()
    return enum_value


def story(events):
    """(transition, reason, status) of each event."""
    return [(word(event["transition"]), word(event["reason"]), word(event["job_status"])) for event in events]


def faults(events, expected):
    """What is wrong with a workspace's events: missing, doubled, out of order. Empty when nothing is."""
    found = []
    versions = [int(event["workspace_version"]) for event in events]
    if versions != list(range(1, len(versions) + 1)):
        found.append(f"versions are {versions}")
    positions = [event["position"] for event in events]
    if positions != sorted(set(positions)):
        found.append(f"positions are {positions}")
    if story(events) != expected:
        missing = [item for item in expected if item not in story(events)]
        found.append(f"missing: {missing}" if missing else f"the order is {story(events)}")
    return found
