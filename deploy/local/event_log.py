"""What watch-all said: every event, printed as it comes and kept for the reckoning."""

import json
import subprocess
import threading
import time

from tools.dev import say


class EventLog:
    """Runs `coderctl watch` and collects its events."""

    def __init__(self, command):
        self._changed = threading.Condition()
        self._events = []
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            watched = json.loads(line)
            event = dict(watched["event"], position=int(watched["position"]))
            print(f"    watch-all | #{event['position']} {event['workspace_name']} build {event['build_number']} "
                  f"{_word(event['transition'])} {_word(event['job_status'])} ({_word(event['reason'])})",
                  flush=True)
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

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
                    raise say.Problem(f"watch-all ended by itself:\n{self._process.stderr.read().rstrip()}")
                if now > deadline:
                    raise say.Problem(f"the event did not come within {timeout_s} s; ./dev logs shows what the services say")
                if now - told > 5:
                    told = now
                    tell(int(deadline - now))
                self._changed.wait(0.5)

    def close(self):
        """Ends the watch."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=10)
        self._thread.join(timeout=10)


def _word(enum_value):
    """BUILD_TRANSITION_START -> start; JOB_STATUS_RUNNING -> running."""
    for prefix in ("BUILD_TRANSITION_", "JOB_STATUS_", "BUILD_REASON_"):
        if enum_value.startswith(prefix):
            return enum_value[len(prefix):].lower()
    return enum_value


def story(events):
    """(transition, reason, status) of each event."""
    return [(_word(event["transition"]), _word(event["reason"]), _word(event["job_status"])) for event in events]


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
